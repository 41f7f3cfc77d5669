import Data
import Files
import Host
import Hub
import JSON
import Model
import Training

/// What a command would do: `--dry_run`. Names are resolved without fetching; nothing is written, trained or generated.
struct Plan {
    let arguments: Arguments
    /// What was typed to get to the command, such as "plugin list".
    let command: String
    private var lines: [(topic: String, text: String)] = []
    private var isComplete = true

    init(_ arguments: Arguments, command: String) {
        self.arguments = arguments
        self.command = command
    }

    mutating func add(_ topic: String, _ text: String) { lines.append((topic, text)) }

    /// What is not here, and why.
    mutating func lack(_ topic: String, _ problem: any Error) {
        lines.append((topic, String(describing: problem)))
        isComplete = false
    }

    /// Resolves what `name` means, as a line; nil when it would have to be fetched.
    /// - Parameter kind: "model" or "dataset".
    mutating func locate(_ topic: String, _ name: String, kind: String = "model", _ registry: Registry) throws
        -> String?
    {
        if System.kind(of: name) != nil { return name }
        var options = Session.downloadOptions(arguments)
        options.kind = kind
        options.offline = true
        do {
            return try NameResolver(registry).path(
                name, usesHuggingFace: Session.usesHuggingFace(arguments), options)
        } catch let error as HubError where error.code == .offline {
            lack(topic, error)
            return nil
        }
    }

    /// The model that `--model` or an operand names, with a line of what it is; nil when it is not here.
    mutating func model(_ registry: Registry, named: String? = nil, activation: String? = nil) throws -> Model? {
        let name = try named ?? arguments.required("model")
        guard let path = try locate("model", name, registry) else { return nil }
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
        let names = try DatasetNames(arguments, registry, isOffline: true)
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

    func show() {
        if arguments.bool("json") {
            let plan = lines.map { JSON.array([.string($0.topic), .string($0.text)]) }
            let document: JSON = ["plan": .array(plan), "complete": .bool(isComplete)]
            return Terminal.line(document.text())
        }
        Terminal.line(Terminal.table(lines.map { [$0.topic, $0.text] }))
        Terminal.line(
            isComplete
                ? "dry run: everything is here; nothing was done"
                : "dry run: nothing was fetched or done")
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
