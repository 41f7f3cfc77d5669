package import Data
internal import Model

/// Runs optimizer steps over windows of batches: one normaliser for the whole window, clipping, and a check that the
/// numbers are finite before anything is changed by them.
package struct Trainer {
    package struct Settings: Sendable {
        package var accumulation = 1
        package var weightDecay = 0.1
        /// Gradients longer than this are scaled down to it; 0 = off.
        package var maximumNorm = 1.0
        package var schedule: Schedule
        /// What the rate of a group of parameters is multiplied by, such as LoRA+'s of "b".
        package var rateRatios: [String: Double] = [:]
        package init(schedule: Schedule) { self.schedule = schedule }
    }

    /// What a step did.
    package struct Record: Sendable {
        package var step: Int
        package var loss: Double
        /// Before clipping.
        package var gradientNorm: Double
        package var learningRate: Double
        package var tokens: Int
        package var seconds: Double
        package var metrics: [String: Double]
    }

    package let engine: TrainingEngine
    package let settings: Settings

    package init(_ engine: TrainingEngine, settings: Settings) {
        self.engine = engine
        self.settings = settings
    }

    /// What means over a window divide by: trained tokens, pairs, or labelled rows.
    package func normalizer(_ batches: [Batch]) -> Double { max(1, count(batches)) }

    /// Objectives over pairs or labels are means over rows, the others over tokens.
    private var countsRows: Bool { engine.objective.needsPairs || engine.objective.needsLabels }
    private func rows(_ batch: Batch) -> Int {
        engine.objective.needsPairs ? batch.sequenceCount / 2 : batch.sequenceCount
    }

    private func count(_ batches: [Batch]) -> Double {
        Double(batches.reduce(0) { $0 + (countsRows ? rows($1) : $1.trainedTokens) })
    }

    /// One optimizer step over a window, counted from 1.
    /// - Throws: `TrainingError` naming the rows when loss or gradient is not finite; nothing is updated then.
    package func step(_ number: Int, _ window: [Batch]) throws -> Record {
        let start = Clock.now
        let normalizer = normalizer(window)
        var loss = 0.0
        var sums = MetricSums()
        let mismatch = try engine.mismatch(window)
        for (i, batch) in window.enumerated() {
            let noise = engine.options.seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number) << 20 &+ UInt64(i)
            let result = try engine.forwardBackward(
                batch, normalizer: normalizer, accumulates: i > 0, mismatch: mismatch, noise: noise)
            guard result.loss.isFinite else { throw try nonFinite("the loss is \(result.loss)", number, [batch]) }
            loss += result.loss
            sums.add(result.metrics)
        }
        let norm = try engine.gradientNorm()
        guard norm.isFinite else { throw try nonFinite("the gradient's length is \(norm)", number, window) }
        let scale = settings.maximumNorm > 0 ? min(1, settings.maximumNorm / (norm + 1e-6)) : 1
        let rate = settings.schedule.rate(number - 1)
        try engine.step(
            number, learningRates: settings.rateRatios.mapValues { $0 * rate }.merging(["": rate]) { $1 },
            weightDecay: settings.weightDecay, gradientScale: scale)
        return Record(
            step: number, loss: loss, gradientNorm: norm, learningRate: rate,
            tokens: window.reduce(0) { $0 + $1.tokenCount }, seconds: Clock.now - start,
            metrics: sums.means)
    }

    /// What an evaluation measured.
    package struct Evaluation: Sendable {
        package var loss = 0.0
        /// Means by name.
        package var metrics: [String: Double] = [:]
        package var rows = 0
    }

    /// The mean loss and metrics over batches, without changing anything. One batch is in memory at a time.
    /// - Parameter stream: Gives the batches from their first on, as often as it is called.
    /// - Returns: nil when there are none.
    package func evaluate(_ stream: () -> BatchStream?) throws -> Evaluation? {
        guard let batches = stream() else { return nil }
        let mismatch = try engine.mismatch(stream)
        var total = 0.0
        var sums = MetricSums()
        var result = Evaluation()
        while let batch = try batches.next() {
            let share = try engine.evaluate(batch, normalizer: 1, mismatch: mismatch)
            guard share.loss.isFinite else { throw try nonFinite("the evaluation's loss is \(share.loss)", 0, [batch]) }
            result.loss += share.loss
            total += count([batch])
            sums.add(share.metrics)
            result.rows += rows(batch)
        }
        result.loss /= max(1, total)
        result.metrics = sums.means
        return result
    }

    private func nonFinite(_ what: String, _ step: Int, _ batches: [Batch]) throws -> TrainingError {
        let cause = try engine.locateNonFinite(batches)
        let rows = cause.rows.isEmpty ? batches.flatMap(\.rows).map(\.row) : cause.rows
        let named = Array(Set(rows.filter { $0 >= 0 })).sorted()
        let list = named.prefix(20).map(String.init).joined(separator: ", ") + (named.count > 20 ? " …" : "")
        return TrainingError(
            .nonFinite,
            "\(what)\(cause.place.map { "; first in \($0)" } ?? ""), in the rows \(list); nothing was updated. "
                + "Lower the learning rate, look at these rows, or pass over such steps with --nonfinite_policy skip",
            at: step == 0 ? "evaluation" : "step \(step)")
    }
}

/// Sums of metrics with their counts.
private struct MetricSums {
    private var sums: [String: (sum: Double, count: Double)] = [:]

    mutating func add(_ metrics: [String: (sum: Double, count: Double)]) {
        for (name, metric) in metrics {
            let known = sums[name] ?? (0, 0)
            sums[name] = (known.sum + metric.sum, known.count + metric.count)
        }
    }

    var means: [String: Double] { sums.mapValues { $0.sum / max(1, $0.count) } }
}
