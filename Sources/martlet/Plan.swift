import Data
import Files
import Host
import Hub
import JSON
import Model
import PluginAPI
import Training

/// What a command would do: `--dry_run`. Names are resolved without fetching; nothing is written, trained or generated.
struct Plan {
    let arguments: Arguments
    /// What was typed to get to the command, such as "plugin list".
    let command: String
    private var lines: [(topic: String, text: String)] = []
    private var isComplete = true
    private var isPossible = true

    init(_ arguments: Arguments, command: String) {
        self.arguments = arguments
        self.command = command
    }

    mutating func add(_ topic: String, _ text: String) { lines.append((topic, text)) }

    /// What is not here, and why. What a run would fetch is no hindrance; anything else is.
    mutating func lack(_ topic: String, _ problem: any Error) {
        lines.append((topic, String(describing: problem)))
        isComplete = false
        if (problem as? HubError)?.code != .absent { isPossible = false }
    }

    /// Resolves what `name` means, as a line; nil when it would have to be fetched.
    /// - Parameter kind: "model" or "dataset".
    mutating func locate(_ topic: String, _ name: String, kind: String = "model", _ registry: Registry) throws
        -> String?
    {
        if System.kind(of: name) != nil { return name }
        var options = Session.downloadOptions(arguments)
        options.kind = kind
        options.onlyLooks = true
        do {
            return try NameResolver(registry).path(
                name, usesHuggingFace: Session.usesHuggingFace(arguments), options)
        } catch {
            lack(topic, error)
            return nil
        }
    }

    /// Device and quantizer, which do not hang on the model.
    private mutating func parts(_ registry: Registry) {
        do {
            if let device = Session.device(arguments) {
                _ = try registry.component(kind: MT_KIND_DEVICE, id: device)
            }
        } catch {
            lack("device", error)
        }
        do {
            // Its settings are checked by what it would make of a weight.
            _ = try Session.quantizer(arguments, registry)?.plan("weight", shape: [256, 256])
        } catch {
            lack("quantizer", error)
        }
    }

    /// What the catalogue says of a model that is not here.
    private mutating func describe(_ name: String, _ registry: Registry) {
        guard let entry = NameResolver(registry).known(model: name) else { return }
        var text = entry.modelType
        if !entry.architectures.isEmpty {
            do {
                let config: JSON = ["architectures": .array(entry.architectures.map(JSON.string))]
                let family = try FamilyHandle.id(config: config, components: registry, at: entry.id)
                text = "\(family), architecture \(entry.architectures.joined(separator: ", "))"
            } catch {
                return lack("family", error)
            }
        }
        if let quantization = entry.quantization { text += ", quantized: \(quantization)" }
        add("family", text)
        add("memory", "known once its config.json is here: martlet estimate-memory --model \(name) fetches that alone")
    }

    /// The model that `--model` or an operand names, with a line of what it is; nil when it is not here.
    mutating func model(_ registry: Registry, named: String? = nil, activation: String? = nil) throws -> Model? {
        let name = try named ?? Session.modelName(arguments)
        let path = try locate("model", name, registry)
        let wasPossible = isPossible
        parts(registry)
        guard let path else {
            describe(name, registry)
            return nil
        }
        guard isPossible || !wasPossible else { return nil }
        try Session.refuseAdapter(path)
        let model = try Session.model(arguments, registry, path: path, activation: activation)
        let audit = try CheckpointAudit(model)
        try audit.check(path)
        add("model", path)
        let layouts = audit.weightBytes.sorted { $0.key < $1.key }.map { "\($0.key) \(ProgressLine.size($0.value))" }
        add("family", "\(model.family.id), \(audit.parameterCount) parameters: \(layouts.joined(separator: ", "))")
        return model
    }

    /// The adapter that `--adapters` names, checked against nothing yet.
    mutating func adapter(_ registry: Registry) throws -> Adapter? {
        guard let path = arguments.text("adapters") else { return nil }
        let adapter = try Adapter(directory: path, components: registry)
        let numbers = adapter.tensors.values.reduce(0) { $0 + $1.values.count }
        add("adapter", "\(path): \(adapter.config["peft_type"]?.string ?? "LORA"), \(numbers) numbers")
        return adapter
    }

    /// The data sets of some flags, a line each.
    mutating func datasets(_ flags: [String], _ registry: Registry) throws {
        let names = try DatasetNames(arguments, registry, onlyLooks: true)
        for name in flags.flatMap(arguments.list) {
            do {
                let found = try names.resolve(name)
                let files = found.files.count == 1 ? found.files[0] : "\(found.files.count) files"
                add("data", "\(name): \(files)" + (found.task.map { ", task \($0)" } ?? ""))
            } catch {
                lack("data", error)
            }
        }
    }

    mutating func memory(_ estimate: MemoryEstimate) {
        var estimate = estimate
        estimate.add("the program", Int(ProcessMemory.resident))
        add("memory", ProgressLine.size(estimate.total))
        for part in estimate.parts { add("", "\(part.name) \(ProgressLine.size(part.bytes))") }
    }

    /// Everything that was asked for is here.
    var holdsAll: Bool { isComplete }

    /// - Throws: `ExitStatus.failure` when something cannot be had.
    func show() throws {
        if arguments.bool("json") {
            let plan = lines.map { JSON.array([.string($0.topic), .string($0.text)]) }
            let document: JSON = [
                "plan": .array(plan), "complete": .bool(isComplete), "possible": .bool(isPossible),
            ]
            Terminal.line(document.text())
        } else {
            Terminal.line(Terminal.table(lines.map { [$0.topic, $0.text] }))
            Terminal.line(
                "dry run: "
                    + (isComplete
                        ? "everything is here; nothing was done"
                        : isPossible
                            ? "some of it would be fetched first; nothing was fetched or done"
                            : "some of it cannot be had; nothing was fetched or done"))
        }
        if !isPossible { throw ExitStatus.failure }
    }
}

extension Command {
    /// For commands without a plan of their own: the command, its settings, and the files and models that it names.
    static func plan(_ plan: inout Plan) throws {
        let arguments = plan.arguments
        plan.add("command", "\(plan.command): \(summary)")
        let known = Set(flags.map(\.name))
        if known.contains("model"), arguments.has("model") {
            let registry = try Session.registry(arguments)
            if try plan.model(registry) != nil { _ = try plan.adapter(registry) }
        }
        for operand in arguments.positional {
            plan.add("operand", operand + (System.kind(of: operand) == nil ? "" : ", which is here"))
        }
        for flag in flags where arguments.has(flag.name) && !["model", "adapters"].contains(flag.name) {
            plan.add("--\(flag.name)", arguments.list(flag.name).joined(separator: " "))
        }
    }
}
