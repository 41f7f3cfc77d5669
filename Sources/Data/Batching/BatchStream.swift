import JSON

/// Batches made of encoded rows, with a cursor that leads back to any of them.
package final class BatchStream {
    private let rows: EncodedFeed
    private let plan: BatchPlan
    private let ledger: RejectLedger
    /// Rows given so far, which numbers them.
    package private(set) var rowNumber: Int
    private var windowStart: JSON
    private var windowNumber: Int
    private var bins: [[EncodedExample]] = []
    private var given = 0
    private var hasEnded = false

    package init(_ rows: EncodedFeed, plan: BatchPlan, ledger: RejectLedger) {
        self.rows = rows
        self.plan = plan
        self.ledger = ledger
        rowNumber = 0
        windowNumber = 0
        windowStart = rows.state
    }

    /// The next batch; nil at the end of the rows.
    package func next() throws -> Batch? {
        while given == bins.count {
            if hasEnded { return nil }
            try fill()
        }
        defer { given += 1 }
        return Batch(bins[given])
    }

    /// A small document that leads back to the batch that `next` would give.
    package var state: JSON {
        let isSpent = given == bins.count
        return [
            "rows": isSpent ? rows.state : windowStart, "row": .int(Int64(isSpent ? rowNumber : windowNumber)),
            "given": .int(Int64(isSpent ? 0 : given)), "ledger": ledger.state,
        ]
    }

    package func restore(_ state: JSON) throws {
        guard let inner = state["rows"], let row = state["row"]?.int, let given = state["given"]?.int, given >= 0,
            row >= 0, let counts = state["ledger"]
        else { throw DataError("cursor", found: state.text(), wanted: "a state of batches") }
        try rows.restore(inner)
        rowNumber = row
        bins = []
        self.given = 0
        hasEnded = false
        if given > 0 {
            // The window's rows were counted when it was first made.
            ledger.isCounting = false
            try fill()
            self.given = min(given, bins.count)
        }
        try ledger.restore(counts)
    }

    /// Reads a window of rows and lays them into batches.
    private func fill() throws {
        windowStart = rows.state
        windowNumber = rowNumber
        var examples: [EncodedExample] = []
        let wanted = plan.strategy == .none ? plan.rows : plan.window
        while examples.count < wanted {
            guard let row = try rows.next() else {
                hasEnded = true
                try ledger.check(isFinal: true)
                break
            }
            switch row {
            case .rejected(let reject): try ledger.reject(reject)
            case .examples(let made, let cut, _):
                for example in made {
                    var example = example
                    example.row = rowNumber
                    examples.append(example)
                }
                rowNumber += 1
                try ledger.keep(cut: cut)
            }
        }
        let lengths = examples.map(\.count)
        let order: [[Int]]
        switch plan.strategy {
        case .none:
            order = stride(from: 0, to: examples.count, by: plan.rows).map {
                Array($0..<min(examples.count, $0 + plan.rows))
            }
        case .binpack: order = Packing.bestFit(lengths, capacity: plan.tokens)
        case .sequential: order = Packing.sequential(lengths, capacity: plan.tokens)
        }
        bins = order.map { $0.map { examples[$0] } }
        given = 0
    }
}
