package import JSON

/// How a run goes on from step to step.
package struct RunSettings: Sendable {
    /// When something is done besides training.
    package enum Cadence: Sendable, Equatable {
        case never, epoch
        case steps(Int)

        func isDue(_ step: Int) -> Bool {
            if case .steps(let every) = self { return step % max(1, every) == 0 }
            return false
        }
    }

    /// What follows a loss or gradient that is not finite; nothing is updated by it in either case.
    package enum NonFinitePolicy: String, Sendable, CaseIterable { case stop, skip }

    package var directory: String
    package var epochs = 3
    /// Optimizer steps after which the run ends, whatever the epochs; nil = none.
    package var maximumSteps: Int?
    package var loggingSteps = 5
    package var saves = Cadence.steps(500)
    /// Checkpoints kept besides; the newest and the best always stay.
    package var saveLimit: Int?
    package var savesOnlyModel = false
    package var evaluates = Cadence.steps(500)
    package var evaluatesFirst = true
    package var loadsBestAtEnd = false
    /// What the best checkpoint is chosen by, such as "eval_loss".
    package var bestMetric = "eval_loss"
    package var isGreaterBetter = false
    /// Evaluations without a better metric after which the run ends; nil = none.
    package var earlyStopInterval: Int?
    package var nonFinite = NonFinitePolicy.stop
    /// Operations a second that the machine can do at most, for the share of it that is reported; nil = not known.
    package var peakRate: Double?
    /// The command's arguments, kept in args.json.
    package var arguments: JSON = [:]

    package init(directory: String) { self.directory = directory }
}
