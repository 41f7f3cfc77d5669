import Files
import Host
import JSON
import Training

/// In what a run that goes on differs from the run that wrote its checkpoint: another rate or another place for logs is
/// another run from there on, another objective or other data would be one that never was.
struct TrainResume {
    struct Difference {
        let flag: String
        let old: JSON
        let new: JSON

        func value(_ json: JSON) -> String { json.isNull ? "not given" : json.string ?? json.text() }
        var text: String { "--\(flag) was \(value(old)), now \(value(new))" }
    }

    /// What may be otherwise.
    let allowed: [Difference]
    /// What changes the mathematics or the data.
    let refused: [Difference]

    /// Flags of the steps' number and rate, of batches, and of what is done with the machine.
    private static let free: Set<String> = [
        "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate",
        "lorap_lr_ratio", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_ratio", "warmup_steps",
        "nonfinite_policy",
        "gradient_checkpointing", "device", "dataset_num_proc", "encoding_cache", "max_reject_ratio", "val_dataset",
        "use_hf", "profile",
    ]

    /// - Parameters:
    ///   - old: The checkpoint's args.json.
    ///   - new: The arguments of the run that goes on.
    init(from old: JSON, to new: JSON) {
        // Flags of evaluation, saving and logging, and those that every command takes.
        let free = Self.free.union((TrainCommand.besides + commonFlags).map(\.name))
        var (allowed, refused): ([Difference], [Difference]) = ([], [])
        for flag in TrainCommand.flags + commonFlags {
            let name = flag.name
            // What the older run did not know had its default.
            let fallback = old[name] == nil ? flag.fallback.map(JSON.string) : nil
            let (one, other) = (Self.meant(name, old, fallback), Self.meant(name, new, nil))
            if Self.plain(one) == Self.plain(other) { continue }
            let difference = Difference(flag: name, old: one, new: other)
            if free.contains(name) { allowed.append(difference) } else { refused.append(difference) }
        }
        self.allowed = allowed.filter { !Self.unspoken.contains($0.flag) }
        self.refused = refused
    }

    /// Nothing of a run hangs on these.
    private static let unspoken: Set<String> = [
        "resume_from_checkpoint", "config", "json", "dry_run", "help", "plugin_path", "profile", "preview",
    ]

    /// A flag's value, or what stands for it when it is not given.
    private static func meant(_ name: String, _ arguments: JSON, _ fallback: JSON?) -> JSON {
        if let value = arguments[name], !value.isNull { return value }
        switch name {
        case "data_seed": return arguments["seed"] ?? .null
        case "packing_length": return arguments["max_length"] ?? .null
        default: return fallback ?? .null
        }
    }

    /// A value as text: numbers by their value, files by where they are.
    private static func plain(_ value: JSON) -> String {
        if let list = value.array { return list.map(plain).joined(separator: "\n") }
        if let number = value.double { return String(number) }
        guard let text = value.string else { return value.isNull ? "" : value.text() }
        return Double(text).map { String($0) } ?? FileSystem.real(text) ?? text
    }

    /// - Throws: `UsageError` naming every flag that may not be otherwise.
    func check(_ checkpoint: String) throws {
        guard !refused.isEmpty else { return }
        let isAdapter = System.kind(of: System.join(checkpoint, "adapter_config.json")) != nil
        throw UsageError(
            "\(checkpoint) is of another training:\n  " + refused.map(\.text).joined(separator: "\n  ")
                + "\nGo on with the old values; or begin another run from its weights with "
                + (isAdapter ? "--adapters \(checkpoint)" : "--model \(checkpoint)")
                + " and without --resume_from_checkpoint")
    }
}
