import Files
import JSON

/// What a run wants of its data.
package struct DataSettings: Sendable {
    package var purpose = RowSchema.Purpose.answer
    package var system: String?
    package var substitutions: [String: String] = [:]
    /// Rows for which one of these gives 0 are left out.
    package var filters: [RowJudge] = []
    package var seed: UInt64 = 42
    package var shuffles = true
    /// Rows are read as they come and never all at once.
    package var streams = false
    package var shuffleBuffer = 1000
    /// Weights of the data sets in the mixture; nil puts them one behind the other.
    package var interleaveWeights: [Double]?
    package var stopping = InterleavedFeed.Stopping.firstExhausted
    package var splitRatio = 0.0
    package var truncation = Truncation(.delete, maximumLength: 2048)
    package var plan = BatchPlan()
    package var workers = 2
    package var rejectsPath: String?
    package var validationRejectsPath: String?
    /// The run goes on from a checkpoint, and its list of rejected rows with it.
    package var continues = false
    package var maximumRejectRatio = 1.0
    package var cacheDirectory: String?
    package var shard = 0
    package var shards = 1

    package init() {}
}

/// The data of a run: from names to batches.
package final class TrainingData {
    package let datasets: [ResolvedDataset]
    package let settings: DataSettings
    package let ledger: RejectLedger
    /// Of the validation rows, as the first evaluation meets them.
    package let validationLedger: RejectLedger
    /// What the user should know before the run.
    package private(set) var notes: [String] = []
    private let formats: RowFormats
    private let encoder: any RowEncoder
    private let schemas: [RowSchema]
    private let cache: EncodedCache?
    private var stores: [RowStore] = []
    /// Row numbers to train on, by data set; then those to validate with.
    private var training: [[Int]] = []
    private var validation: [[Int]] = []
    private var validationStores: [RowStore] = []

    package init(
        _ datasets: [ResolvedDataset], validation: [ResolvedDataset] = [], settings: DataSettings, formats: RowFormats,
        encoder: any RowEncoder
    ) throws {
        self.datasets = datasets
        self.settings = settings
        self.formats = formats
        self.encoder = encoder
        ledger = RejectLedger(
            path: settings.rejectsPath, maximumRatio: settings.maximumRejectRatio, continues: settings.continues)
        validationLedger = RejectLedger(path: settings.validationRejectsPath, countsOnePass: true)
        schemas = (datasets + validation).map {
            RowSchema(
                settings.purpose, columns: $0.columns, system: settings.system, substitutions: settings.substitutions,
                filters: settings.filters)
        }
        cache = try settings.cacheDirectory.map { try EncodedCache(directory: $0, identity: encoder.identity) }
        if let weights = settings.interleaveWeights,
            weights.count != datasets.count || weights.contains(where: { $0 < 0 })
        {
            throw DataError(
                "interleave_prob", found: "\(weights)",
                wanted: "\(datasets.count) weights, one a data set, none below 0")
        }
        if !settings.streams { try store() }
        for (index, dataset) in validation.enumerated() {
            validationStores.append(
                try RowStore(feed(dataset.files, datasets.count + index), dataset: datasets.count + index))
        }
        for (index, dataset) in datasets.enumerated() where !dataset.validationFiles.isEmpty {
            validationStores.append(try RowStore(feed(dataset.validationFiles, index), dataset: index))
        }
        for reject in validationStores.flatMap(\.rejects) { try validationLedger.reject(reject) }
        try survey(validation)
    }

    /// Rows of an epoch, where they are known: not when streaming.
    package var rowCount: Int? { settings.streams ? nil : order(epoch: 0).count }

    /// Rows that no format could read, where they are known: not when streaming.
    package var unreadable: [Reject] { stores.flatMap(\.rejects) }

    /// The batches of an epoch, counted from 0.
    package func batches(epoch: Int) throws -> BatchStream {
        ledger.isCounting = epoch == 0
        let rows: any RowFeed
        if settings.streams {
            rows = stream(epoch: epoch)
        } else {
            let order = order(epoch: epoch)
            let own =
                settings.shards == 1
                ? order : order.indices.filter { $0 % settings.shards == settings.shard }.map { order[$0] }
            rows = OrderedFeed(stores, order: own)
        }
        return BatchStream(encoded(rows), plan: settings.plan, ledger: ledger)
    }

    /// The batches of the validation rows in their order; nil when there are none.
    package func validationBatches() -> BatchStream? {
        let all = stores + validationStores
        let order =
            validation.enumerated().flatMap { store, rows in
                rows.map { OrderedFeed.Reference(store: store, row: $0) }
            }
            + validationStores.enumerated().flatMap { index, store in
                (0..<store.count).map { OrderedFeed.Reference(store: stores.count + index, row: $0) }
            }
        if order.isEmpty { return nil }
        return BatchStream(encoded(OrderedFeed(all, order: order)), plan: settings.plan, ledger: validationLedger)
    }

    /// Batches of the first epoch: counted where there are at most `limit` rows, extrapolated from as many otherwise; nil when
    /// streaming. Encodes those rows, so that rejected and packed ones count for what they are.
    package func batchCount(limit: Int) throws -> Int? {
        if settings.streams { return nil }
        let order = order(epoch: 0)
        let own = order.count / settings.shards
        let feed = encoded(OrderedFeed(stores, order: Array(order.prefix(limit))))
        let stream = BatchStream(feed, plan: settings.plan, ledger: RejectLedger())
        var count = 0
        while try stream.next() != nil { count += 1 }
        let seen = min(order.count, limit)
        return seen == 0 ? 0 : (count * own + seen - 1) / seen
    }

    /// Encoded rows in the order of the first epoch, for previews.
    package func preview() throws -> EncodedFeed {
        encoded(settings.streams ? stream(epoch: 0) : OrderedFeed(stores, order: order(epoch: 0)))
    }

    private func encoded(_ rows: any RowFeed) -> EncodedFeed {
        EncodedFeed(
            rows, encoder: encoder, schemas: schemas, truncation: settings.truncation, workers: settings.workers,
            cache: cache)
    }

    private func feed(_ files: [String], _ dataset: Int, shard: Int = 0, shards: Int = 1) -> FileFeed {
        FileFeed(files, formats: formats, dataset: dataset, shard: shard, shards: shards)
    }

    /// Reads the data sets and chooses their rows.
    private func store() throws {
        for (index, dataset) in datasets.enumerated() {
            let store = try RowStore(feed(dataset.files, index), dataset: index)
            for reject in store.rejects { try ledger.reject(reject) }
            if store.count == 0, !dataset.files.isEmpty {
                throw DataError(
                    dataset.name, found: "no row that can be read", wanted: "at least one",
                    fix: store.rejects.first?.description)
            }
            stores.append(store)
            // Streams of the seed: 2^20 and up, so that epochs never meet them.
            let sampling = SeededOrder(seed: settings.seed, stream: 1 << 20 + 2 * index)
            let rows =
                dataset.sample.map {
                    Selection.sample($0, of: store.count, order: settings.shuffles ? sampling : nil)
                } ?? Array(0..<store.count)
            let parts = Selection.split(
                rows, ratio: settings.splitRatio,
                order: SeededOrder(seed: settings.seed, stream: 1 << 20 + 2 * index + 1))
            training.append(parts.train)
            validation.append(parts.validation)
        }
    }

    /// Looks at the columns of the data sets before anything is done with them.
    private func survey(_ validation: [ResolvedDataset]) throws {
        var surveys: [(name: String, survey: ColumnSurvey)] = []
        for (index, dataset) in datasets.enumerated() where !dataset.files.isEmpty {
            var survey = ColumnSurvey(dataset.columns)
            if settings.streams {
                let rows = feed(dataset.files, index)
                for _ in 0..<ColumnSurvey.streamRows where !survey.isDone {
                    guard let item = try rows.next() else { break }
                    if case .row(let row) = item { survey.look(at: row.text) }
                }
            } else {
                try Self.look(&survey, stores[index])
            }
            surveys.append((dataset.name, survey))
        }
        for (dataset, store) in zip(validation, validationStores) {
            var survey = ColumnSurvey(dataset.columns)
            try Self.look(&survey, store)
            surveys.append((dataset.name, survey))
        }
        try ColumnSurvey.check(surveys)
        guard settings.purpose == .answer else { return }
        notes = surveys.filter { $0.survey.hasRejected }.map {
            "\($0.name): rejected answers are not used; --rlhf_type dpo learns from pairs"
        }
    }

    private static func look(_ survey: inout ColumnSurvey, _ store: RowStore) throws {
        for row in 0..<store.count where !survey.isDone { survey.look(at: try store.row(row).text) }
    }

    private func order(epoch: Int) -> [OrderedFeed.Reference] {
        func shuffled(_ rows: [Int], _ stream: Int) -> [Int] {
            guard settings.shuffles else { return rows }
            return SeededOrder(seed: settings.seed, stream: stream).permutation(rows.count).map { rows[$0] }
        }
        if let weights = settings.interleaveWeights {
            let rows = training.enumerated().map { shuffled($1, epoch * training.count + $0) }
            return Selection.interleave(
                rows.map(\.count), weights: weights, stopping: settings.stopping,
                order: SeededOrder(seed: settings.seed, stream: 1 << 21 + epoch)
            ).map { OrderedFeed.Reference(store: $0.source, row: rows[$0.source][$0.index]) }
        }
        let all = training.enumerated().flatMap { store, rows in
            rows.map { OrderedFeed.Reference(store: store, row: $0) }
        }
        guard settings.shuffles else { return all }
        return SeededOrder(seed: settings.seed, stream: epoch).permutation(all.count).map { all[$0] }
    }

    private func stream(epoch: Int) -> any RowFeed {
        let feeds: [any RowFeed] = datasets.enumerated().map { index, dataset in
            feed(dataset.files, index, shard: settings.shard, shards: settings.shards)
        }
        let joined: any RowFeed
        if let weights = settings.interleaveWeights {
            joined = InterleavedFeed(
                feeds, weights: weights, seed: settings.seed &+ UInt64(epoch), stopping: settings.stopping)
        } else {
            joined = feeds.count == 1 ? feeds[0] : ChainedFeed(feeds)
        }
        guard settings.shuffles else { return joined }
        return ShuffledFeed(joined, window: settings.shuffleBuffer, seed: settings.seed &+ UInt64(epoch) << 32)
    }
}
