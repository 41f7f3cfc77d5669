import Glibc
package import JSON

/// The learning rate over a run, as transformers names the schedules and computes them.
package struct Schedule: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case constant, linear, cosine, polynomial
        case constantWithWarmup = "constant_with_warmup"
        case cosineWithRestarts = "cosine_with_restarts"
        case inverseSqrt = "inverse_sqrt"
        case cosineWithMinimum = "cosine_with_min_lr"
        case cosineWarmupWithMinimum = "cosine_warmup_with_min_lr"
        case warmupStableDecay = "warmup_stable_decay"
    }
    package var kind: Kind
    package var peak: Double
    package var steps: Int
    package var warmup: Int
    /// transformers' `lr_scheduler_kwargs`, by its names.
    package var options: JSON

    package init(_ kind: Kind, peak: Double, steps: Int, warmup: Int = 0, options: JSON = [:]) {
        self.kind = kind
        self.peak = peak
        self.steps = steps
        self.warmup = warmup
        self.options = options
    }

    private static let knownOptions: [Kind: Set<String>] = [
        .cosine: ["num_cycles"], .cosineWithRestarts: ["num_cycles"], .polynomial: ["lr_end", "power"],
        .inverseSqrt: ["timescale"], .cosineWithMinimum: ["num_cycles", "min_lr", "min_lr_rate"],
        .cosineWarmupWithMinimum: ["num_cycles", "min_lr", "min_lr_rate", "warmup_lr_rate"],
        .warmupStableDecay: [
            "num_decay_steps", "num_stable_steps", "min_lr_ratio", "num_cycles", "warmup_type", "decay_type",
        ],
    ]
    private static let shapes = ["linear", "cosine", "1-sqrt"]

    /// Fails on an option that the schedule does not have.
    package func check() throws {
        let known = Self.knownOptions[kind] ?? []
        for (name, value) in options.object ?? JSONObject() {
            guard known.contains(name) else {
                throw TrainingError(
                    .invalid,
                    "\(kind.rawValue) has no option \"\(name)\"; it has \(known.sorted().joined(separator: ", "))",
                    at: "lr_scheduler_kwargs")
            }
            let isShape = name.hasSuffix("_type")
            guard isShape ? Self.shapes.contains(value.string ?? "") : value.double != nil else {
                throw TrainingError(
                    .invalid,
                    "\(name) is \(value.text()), wanted \(isShape ? Self.shapes.joined(separator: ", ") : "a number")",
                    at: "lr_scheduler_kwargs")
            }
        }
    }

    private func option(_ name: String, _ fallback: Double) -> Double { options[name]?.double ?? fallback }

    /// The rate of a step, counted from 0.
    package func rate(_ step: Int) -> Double { peak * factor(Double(step)) }

    /// What the peak rate is multiplied by, as in transformers' optimization.py.
    private func factor(_ step: Double) -> Double {
        let (warmup, total) = (Double(warmup), Double(steps))
        let rampsUp = step < warmup
        switch kind {
        case .constant: return 1
        case .cosineWarmupWithMinimum:
            guard rampsUp else { break }
            guard let first = options["warmup_lr_rate"]?.double else { return (step + 1) / max(1, warmup) }
            return first + (1 - first) * step / max(1, warmup - 1)
        case .warmupStableDecay: return stableDecay(step)
        default: if rampsUp { return step / max(1, warmup) }
        }
        let progress = (step - warmup) / max(1, total - warmup)
        switch kind {
        case .linear: return max(0, (total - step) / max(1, total - warmup))
        case .cosine: return max(0, wave(progress, option("num_cycles", 0.5)))
        case .cosineWithRestarts:
            if progress >= 1 { return 0 }
            return max(
                0, 0.5 * (1 + cos(.pi * (option("num_cycles", 1) * progress).truncatingRemainder(dividingBy: 1))))
        case .polynomial:
            let end = option("lr_end", 1e-7)
            if step > total { return end / peak }
            return ((peak - end) * pow(1 - progress, option("power", 1)) + end) / peak
        case .inverseSqrt:
            let scale = option("timescale", warmup > 0 ? warmup : 10_000)
            return 1 / ((step + scale - warmup) / scale).squareRoot()
        case .cosineWithMinimum: return max(0, mixed(wave(progress, option("num_cycles", 0.5)), minimumRate))
        case .cosineWarmupWithMinimum:
            let next = (step - warmup + 1) / max(1, total - warmup)
            return max(0, mixed(wave(next, option("num_cycles", 0.5)), minimumRate))
        case .constant, .constantWithWarmup, .warmupStableDecay: return 1
        }
    }

    private var minimumRate: Double { options["min_lr"]?.double.map { $0 / peak } ?? option("min_lr_rate", 0) }
    private func wave(_ progress: Double, _ cycles: Double) -> Double { 0.5 * (1 + cos(.pi * cycles * 2 * progress)) }
    private func mixed(_ factor: Double, _ minimum: Double) -> Double { factor * (1 - minimum) + minimum }

    private func stableDecay(_ step: Double) -> Double {
        let warmup = Double(warmup)
        let minimum = option("min_lr_ratio", 0)
        let decay = option("num_decay_steps", max(0, (Double(steps) - warmup) * 0.1).rounded(.down))
        let stable = option("num_stable_steps", Double(steps) - warmup - decay)
        if step < warmup {
            let progress = step / max(1, warmup)
            switch options["warmup_type"]?.string {
            case "cosine": return max(0, mixed(0.5 * (1 - cos(.pi * progress)), minimum))
            case "1-sqrt": return max(0, mixed(1 - (1 - progress).squareRoot(), minimum))
            default: return max(0, mixed(progress, minimum))
            }
        }
        if step < warmup + stable { return 1 }
        guard step < warmup + stable + decay else { return minimum }
        let progress = (step - warmup - stable) / max(1, decay)
        switch options["decay_type"]?.string {
        case "linear": return max(0, mixed(1 - progress, minimum))
        case "1-sqrt": return max(0, mixed(1 - progress.squareRoot(), minimum))
        default: return max(0, mixed(wave(progress, option("num_cycles", 0.5)), minimum))
        }
    }

    /// scheduler.json.
    var json: JSON {
        [
            "type": .string(kind.rawValue), "learning_rate": .double(peak), "steps": .int(Int64(steps)),
            "warmup_steps": .int(Int64(warmup)), "kwargs": options,
        ]
    }

    /// The schedule that a checkpoint was written with.
    package init(_ json: JSON, at path: String) throws {
        guard let kind = json["type"]?.string.flatMap(Kind.init(rawValue:)), let peak = json["learning_rate"]?.double,
            let steps = json["steps"]?.int, let warmup = json["warmup_steps"]?.int
        else { throw TrainingError(.invalid, "is no schedule of this version", at: path) }
        self.init(kind, peak: peak, steps: steps, warmup: warmup, options: json["kwargs"] ?? [:])
    }
}
