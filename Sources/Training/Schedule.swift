import Glibc

/// The learning rate over a run, as transformers names the schedules.
package struct Schedule: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case constant, linear, cosine
        case constantWithWarmup = "constant_with_warmup"
    }
    package var kind: Kind
    package var peak: Double
    package var steps: Int
    package var warmup: Int

    package init(_ kind: Kind, peak: Double, steps: Int, warmup: Int = 0) {
        self.kind = kind
        self.peak = peak
        self.steps = steps
        self.warmup = warmup
    }

    /// The rate of a step, counted from 0.
    package func rate(_ step: Int) -> Double {
        if step < warmup, kind != .constant { return peak * Double(step) / Double(max(1, warmup)) }
        let progress = Double(step - warmup) / Double(max(1, steps - warmup))
        switch kind {
        case .constant, .constantWithWarmup: return peak
        case .linear: return peak * max(0, 1 - progress)
        case .cosine: return peak * 0.5 * (1 + cos(.pi * min(1, progress)))
        }
    }
}
