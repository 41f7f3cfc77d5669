import Host
import JSON
import PluginAPI
import Training

/// What of a training run does not hang on the model: objective and optimizer.
///
/// `--rlhf_type` names the objective; without it the data sets' registrations may (`task`).
struct TrainMethod {
    private let arguments: Arguments
    private let registry: Registry
    /// The objective's component.
    let objectiveID: String

    init(_ arguments: Arguments, _ registry: Registry) throws {
        self.arguments = arguments
        self.registry = registry
        // In print DPO is asked for by its optimizer's name: `--optim dpo_adamw_torch`.
        let meant = arguments.text("optim")?.hasPrefix("dpo_") == true ? "dpo" : nil
        let named = arguments.text("rlhf_type") ?? meant
        let tasks = try Self.tasks(arguments, registry)
        objectiveID = named ?? tasks.first?.objective ?? "sft"
        for (name, task, objective) in tasks {
            // Objectives over the same rows may stand for each other: SimPO over what is registered for DPO.
            let fits =
                try objective == objectiveID
                || named != nil && Self.rows(objective, registry) == Self.rows(try self.objective())
            guard !fits else { continue }
            throw UsageError(
                "the data set \(name) is registered for the task \(task), "
                    + (named.map { "but the run trains \($0)" } ?? "but \(tasks[0].name) for \(tasks[0].task)")
                    + "; one run has one objective")
        }
    }

    /// Tasks that are trained without `--rlhf_type`.
    private static let supervised = ["sft", "pt", "pretrain"]

    /// The data sets whose registration names a task, and the objective that it means.
    private static func tasks(
        _ arguments: Arguments, _ registry: Registry
    ) throws -> [(name: String, task: String, objective: String)] {
        try DatasetNames.tasks(arguments).map { name, task in
            if supervised.contains(task) { return (name, task, "sft") }
            let known = registry.componentIDs(kind: MT_KIND_ALIGNMENT).filter { $0 != "sft" }
            guard known.contains(task) else {
                throw UsageError(
                    "the task of the data set \(name) is \"\(task)\", wanted "
                        + (supervised + known).joined(separator: ", "))
            }
            return (name, task, task)
        }
    }

    /// What rows an objective learns from.
    private static func rows(_ objective: ObjectiveHandle) -> [Bool] { [objective.needsPairs, objective.needsLabels] }

    private static func rows(_ id: String, _ registry: Registry) throws -> [Bool] {
        rows(try ObjectiveHandle(id: id, settings: [:], components: registry))
    }

    func objective() throws -> ObjectiveHandle {
        guard objectiveID != "sft" else { return try ObjectiveHandle(id: "sft", settings: [:], components: registry) }
        var settings = try arguments.pairs("rlhf_args")
        for flag in ["beta", "label_smoothing", "discopop_tau", "desirable_weight", "undesirable_weight"]
        where settings[flag] == nil { settings[flag] = arguments.double(flag).map(JSON.double) }
        for flag in ["loss_type", "f_divergence_type"] where settings[flag] == nil {
            settings[flag] = arguments.text(flag).map(JSON.string)
        }
        return try ObjectiveHandle(id: objectiveID, settings: .object(settings), components: registry)
    }

    func optimizerID() throws -> String {
        try OptimizerNames.component(
            arguments.text("optim") ?? "adamw_torch", installed: registry.componentIDs(kind: MT_KIND_OPTIMIZER))
    }

    func optimizer() throws -> OptimizerHandle {
        let id = try optimizerID()
        var settings = JSONObject()
        for key in ["adam_beta1", "adam_beta2", "adam_epsilon"] {
            if id.hasPrefix("adam") || arguments.has(key) { settings[key] = arguments.double(key).map(JSON.double) }
        }
        for (key, value) in try arguments.pairs("optim_args") { settings[key] = value }
        return try OptimizerHandle(id: id, settings: .object(settings), components: registry)
    }
}

extension Arguments {
    /// The settings in a flag of name=value pairs.
    func pairs(_ flag: String) throws -> JSONObject {
        var settings = JSONObject()
        for pair in list(flag) {
            let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw UsageError("--\(flag) holds \"\(pair)\", wanted name=value") }
            settings[parts[0]] = (try? JSON(parsing: parts[1])) ?? .string(parts[1])
        }
        return settings
    }
}
