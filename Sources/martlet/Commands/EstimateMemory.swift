import Export
import Files
import Glibc
import Host
import JSON
import Model
import Training

/// Says what a model takes in memory, and what fits.
enum EstimateMemoryCommand: Command {
    static let name = "estimate-memory"
    static let summary =
        "Plan the memory of answering, LoRA, QLoRA and full training, from a model or its config.json alone"
    static let flags =
        TrainCommand.flags.filter { $0.name != "preview" } + [
            Flag("memory", .text, "What there is, such as 16GB; without: this machine's"),
            Flag("context", .integer, "Tokens of a conversation when answering", default: "4096"),
        ]
    static var operandCount: ClosedRange<Int> { 0...0 }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let available = try available(arguments)
        try ModelShapeFiles.withPath(arguments, registry) { path in
            let estimates = try estimates(arguments, registry, path)
            if arguments.bool("json") {
                Terminal.line(JSON.array(estimates.map { $0.json(available) }).text())
            } else {
                show(estimates, available, arguments)
            }
        }
    }

    private struct Estimate {
        let name: String
        let memory: MemoryEstimate

        func json(_ available: Int) -> JSON {
            [
                "method": .string(name), "bytes": .int(Int64(memory.total)), "fits": .bool(memory.total <= available),
                "parts": .object(JSONObject(memory.parts.map { ($0.name, .int(Int64($0.bytes))) })),
            ]
        }
    }

    private static func estimates(_ arguments: Arguments, _ registry: Registry, _ path: String) throws -> [Estimate] {
        let length = arguments.int("max_length") ?? 2048
        let rows = arguments.bool("packing") ? 1 : max(1, arguments.int("per_device_train_batch_size") ?? 1)
        let batch = MemoryEstimate.Batch(tokens: length * rows, rows: rows)
        let plain = try Session.model(arguments, registry, path: path)
        // What the process has before any weight: the program, its plugins, the checkpoint's names, the tokenizer.
        _ = try? plain.tokenizer
        let base = Int(ProcessMemory.resident)
        var estimates: [Estimate] = []
        func add(_ name: String, _ estimate: MemoryEstimate) {
            var estimate = estimate
            estimate.add("the program", base)
            estimates.append(Estimate(name: name, memory: estimate))
        }
        guard plain.shape.head != nil else {
            throw UsageError("\(path) has no language-model head; memory is planned for models that generate text")
        }
        add(
            "answering",
            try MemoryEstimate(answering: plain, context: arguments.int("context") ?? 4096, step: min(512, length)))
        let parts = TrainParts(arguments, plain, registry)
        let lora = try parts.tuner(named: "lora")
        add(
            plain.options.quantizer == nil ? "LoRA" : "QLoRA",
            try MemoryEstimate(training: plain, parts.method(lora), batch: batch))
        if plain.options.quantizer == nil, plain.hasUnquantizedSites {
            let quantized = try Session.model(arguments, registry, path: path, quantizes: true)
            add(
                "QLoRA, NF4",
                try MemoryEstimate(
                    training: quantized, TrainParts(arguments, quantized, registry).method(lora), batch: batch))
        }
        add("full", try MemoryEstimate(training: plain, parts.method(nil), batch: batch))
        return estimates
    }

    private static func show(_ estimates: [Estimate], _ available: Int, _ arguments: Arguments) {
        for estimate in estimates {
            let verdict = estimate.memory.total <= available ? "fits" : "does not fit"
            Terminal.line(
                "\(estimate.name): \(ProgressLine.size(estimate.memory.total)), \(verdict) in \(ProgressLine.size(available))"
            )
            Terminal.line(Terminal.table(estimate.memory.parts.map { ["  " + $0.name, ProgressLine.size($0.bytes)] }))
        }
    }

    private static func available(_ arguments: Arguments) throws -> Int {
        guard let text = arguments.text("memory") else {
            return sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        }
        return try ByteCount.read(text, flag: "memory")
    }
}
