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

    /// What means over a window divide by: trained tokens, or pairs.
    package func normalizer(_ batches: [Batch]) -> Double {
        let count = batches.reduce(0) { $0 + (engine.objective.needsPairs ? $1.sequenceCount / 2 : $1.trainedTokens) }
        return Double(max(1, count))
    }

    /// One optimizer step over a window, counted from 1.
    /// - Throws: `TrainingError` naming the rows when loss or gradient is not finite; nothing is updated then.
    package func step(_ number: Int, _ window: [Batch]) throws -> Record {
        let start = Clock.now
        let normalizer = normalizer(window)
        var loss = 0.0
        var sums: [String: (sum: Double, count: Double)] = [:]
        for (i, batch) in window.enumerated() {
            let noise = engine.options.seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number) << 20 &+ UInt64(i)
            let result = try engine.forwardBackward(batch, normalizer: normalizer, accumulates: i > 0, noise: noise)
            guard result.loss.isFinite else { throw nonFinite("the loss is \(result.loss)", number, [batch]) }
            loss += result.loss
            for (name, metric) in result.metrics {
                let known = sums[name] ?? (0, 0)
                sums[name] = (known.sum + metric.sum, known.count + metric.count)
            }
        }
        let norm = try engine.gradientNorm()
        guard norm.isFinite else { throw nonFinite("the gradient's length is \(norm)", number, window) }
        let scale = settings.maximumNorm > 0 ? min(1, settings.maximumNorm / (norm + 1e-6)) : 1
        let rate = settings.schedule.rate(number - 1)
        try engine.step(number, learningRates: ["": rate], weightDecay: settings.weightDecay, gradientScale: scale)
        return Record(
            step: number, loss: loss, gradientNorm: norm, learningRate: rate,
            tokens: window.reduce(0) { $0 + $1.tokenCount }, seconds: Clock.now - start,
            metrics: sums.mapValues { $0.sum / max(1, $0.count) })
    }

    /// The mean loss over batches, without changing anything.
    package func evaluate(_ batches: [Batch]) throws -> Double {
        let normalizer = normalizer(batches)
        return try batches.reduce(0) { $0 + (try engine.evaluate($1, normalizer: normalizer).loss) }
    }

    private func nonFinite(_ what: String, _ step: Int, _ batches: [Batch]) -> TrainingError {
        let rows = batches.flatMap(\.rows).map { String($0.row) }.joined(separator: ", ")
        return TrainingError(
            .nonFinite, "\(what); nothing was updated. Lower the learning rate, or look at the rows \(rows)",
            at: "step \(step)")
    }
}
