import CheckpointSupport
import Files
import JSON
import PluginKit

/// Writes a published checkpoint as one GGUF file: names, rope order and norms as llama.cpp wants them.
///
/// Options: "config" (config.json), "directory" (where tokenizer.json or tokenizer.model and tokenizer_config.json are) or
/// "tokenizer" (GGUF's own keys), "chat_template", "layout" ("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k", "q5_1", "q5_0",
/// "q4_k", "q4_1", "q4_0", "q3_k", "q2_k"; absent keeps the tensors' own), "linear_order" (as a checkpoint describes itself),
/// "metadata" (more keys).
final class GGUFWriter: CheckpointWriter {
    private let path: String
    private let tensors: [TensorEntry]
    private let plan: GGUFPlan
    private let dataStart: Int
    private var file: ReplacementFile?
    private var next = 0
    private static let alignment = 32

    init(_ path: String, options: JSON, tensors: [TensorEntry]) throws(FileError) {
        let config = options["config"] ?? .null
        let type = config["model_type"]?.string ?? ""
        guard let architecture = GGUFArchitecture.writable(type) else {
            throw FileError(
                path, "config \"model_type\"", found: FileError.quote(type),
                wanted: "one of \(GGUFArchitecture.writable.map(\.modelType).joined(separator: ", "))")
        }
        let layout = options["layout"]?.string
        if let layout, !GGUFQuantizer.layouts.contains(layout) {
            throw FileError(
                path, "layout", found: FileError.quote(layout),
                wanted: "one of \(GGUFQuantizer.layouts.sorted().joined(separator: ", "))")
        }
        self.path = path
        let isTied = config["tie_word_embeddings"]?.bool ?? tensors.allSatisfy { $0.name != "lm_head.weight" }
        let factors = try GGUFMetadata.ropeTensors(config, path)
        self.tensors = tensors.filter { !isTied || $0.name != "lm_head.weight" }
        skipsHead = self.tensors.count != tensors.count ? tensors.firstIndex { $0.name == "lm_head.weight" } : nil
        plan = try GGUFPlan(
            self.tensors, architecture, config: config, layout: layout,
            isTransposed: architecture.isTransposed && options["linear_order"]?.string != "out_in",
            alignment: Self.alignment, path: path)
        var metadata = try GGUFMetadata(architecture, config: config, path: path)
        try metadata.addTokenizer(options)
        metadata.add(
            "general.file_type", .int(Self.fileType(layout ?? tensors.first { $0.shape.count > 1 }?.layout ?? "f32")))
        for (key, value) in options["metadata"]?.object ?? JSONObject() { metadata.add(key, value) }
        let header = Self.header(metadata, plan, factors)
        dataStart = header.count
        let file = try ReplacementFile(path)
        let extra = factors.reduce(0) {
            $0 + (($1.values.count * 4 + Self.alignment - 1) / Self.alignment * Self.alignment)
        }
        try file.reserve(header.count + plan.dataSize + extra)
        try file.write(header, at: 0)
        var at = header.count + plan.dataSize
        for factor in factors {
            try file.write(GGUFQuantizer.bytes(factor.values, "f32"), at: at)
            at += (factor.values.count * 4 + Self.alignment - 1) / Self.alignment * Self.alignment
        }
        self.file = file
    }
    /// Where a tied head stands among the tensors handed in: its bytes are passed over.
    private let skipsHead: Int?
    private var given = 0

    func write(_ data: UnsafeRawBufferPointer) throws {
        try reporting { () throws(FileError) in try append(data) }
    }

    private func append(_ data: UnsafeRawBufferPointer) throws(FileError) {
        defer { given += 1 }
        if given == skipsHead { return }
        guard next < tensors.count, let file else {
            throw FileError(path, "writing", found: "more tensors than declared", wanted: "\(tensors.count)")
        }
        let tensor = tensors[next]
        guard UInt64(data.count) == tensor.size,
            plan.parts[next].isEmpty || ElementLayout.named(tensor.layout)?.byteCount(shape: tensor.shape) == data.count
        else {
            throw FileError(
                path, "tensor \(FileError.quote(tensor.name))", found: "\(data.count) bytes",
                wanted: "\(tensor.size), the size of \(tensor.layout) \(tensor.shape)")
        }
        for part in plan.parts[next] { try append(part, of: tensor, data, to: file) }
        next += 1
    }

    private func append(
        _ part: GGUFPlan.Part, of tensor: TensorEntry, _ data: UnsafeRawBufferPointer, to file: ReplacementFile
    ) throws(FileError) {
        let target = plan.targets[part.target]
        let size = part.expert == nil ? target.size : target.size / max(1, target.shape[0])
        var offset = dataStart + target.offset + (part.expert ?? 0) * size
        let rows = max(1, tensor.shape.first ?? 1)
        let columns = tensor.shape.reduce(1, *) / rows
        let moves = part.rows != nil || part.isTransposed
        // Some megabytes at a time, so that a large tensor needs no copy of itself.
        let step = moves ? rows : max(1, (4 << 20) / max(1, columns))
        var row = 0
        while row < rows {
            let count = min(step, rows - row)
            let stride = data.count / rows
            let slice = UnsafeRawBufferPointer(rebasing: data[row * stride..<(row + count) * stride])
            if tensor.layout == target.layout.id, !moves, part.addend == 0 {
                try file.write(slice, at: offset)
                offset += slice.count
            } else {
                let bytes = converted(slice, tensor.layout, rows: count, columns, part, to: target.layout.id)
                try file.write(bytes, at: offset)
                offset += bytes.count
            }
            row += count
        }
    }

    private func converted(
        _ data: UnsafeRawBufferPointer, _ layout: String, rows: Int, _ columns: Int, _ part: GGUFPlan.Part,
        to target: String
    ) -> [UInt8] {
        var values = GGUFQuantizer.floats(data, layout, count: rows * columns)
        if part.addend != 0 { for i in values.indices { values[i] += part.addend } }
        if part.isTransposed {
            let plain = values
            for row in 0..<rows {
                for column in 0..<columns { values[column * rows + row] = plain[row * columns + column] }
            }
        }
        if let order = part.rows {
            let plain = values
            let width = plain.count / max(1, part.isTransposed ? columns : rows)
            values = order.flatMap { plain[$0 * width..<($0 + 1) * width] }
        }
        return GGUFQuantizer.bytes(values, target)
    }

    func finish() throws {
        try reporting { () throws(FileError) in
            guard next == tensors.count, let file else {
                throw FileError(path, "finishing", found: "\(next) tensors written", wanted: "\(tensors.count)")
            }
            try file.flush()
            try file.place()
            try System.flush(directory: System.parent(of: path) ?? "")
            self.file = nil
        }
    }

    func abandon() { file = nil }

    private static func header(_ metadata: GGUFMetadata, _ plan: GGUFPlan, _ factors: [GGUFMetadata.RopeTensor])
        -> [UInt8]
    {
        var out = GGUFBytes()
        out.add(UInt32(0x4655_4747))
        out.add(UInt32(3))
        out.add(UInt64(plan.targets.count + factors.count))
        out.add(UInt64(metadata.entries.count))
        for (key, value) in metadata.entries { out.add(key, value) }
        func add(_ name: String, _ shape: [Int], _ layout: String, _ offset: Int) {
            out.add(name)
            out.add(UInt32(shape.count))
            for size in shape.reversed() { out.add(UInt64(size)) }
            out.add(numbers[layout] ?? 0)
            out.add(UInt64(offset))
        }
        for target in plan.targets { add(target.name, target.shape, target.layout.id, target.offset) }
        var at = plan.dataSize
        for factor in factors {
            add(factor.name, [factor.values.count], "f32", at)
            at += (factor.values.count * 4 + alignment - 1) / alignment * alignment
        }
        out.pad(to: alignment)
        return out.bytes
    }

    private static let numbers = Dictionary(uniqueKeysWithValues: GGUFFile.layouts.map { ($1, $0) })

    /// llama.h, `enum llama_ftype`.
    private static func fileType(_ layout: String) -> Int64 {
        [
            "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "bf16": 32, "q4_k": 15,
            "q5_k": 17, "q6_k": 18, "q2_k": 10, "q3_k": 12,
        ][layout] ?? 0
    }
}

extension GGUFArchitecture {
    /// Those that a model's own config.json leads to: one for each of its types.
    static let writable: [GGUFArchitecture] =
        all.filter { architecture in
            !["mistral3", "baichuan", "phi2", "stablelm", "seed_oss", "ernie4_5", "deepseek"].contains(
                architecture.id)
        }.map { architecture in
            guard architecture.id == "internlm2" else { return architecture }
            var own = GGUFArchitecture(
                id: "internlm2", modelType: "internlm2", className: "InternLM2ForCausalLM", names: GGUFNames.internlm2,
                permutes: true)
            own.constants = ["hidden_act": "silu"]
            return own
        } + [
            // BERT with positions that begin after the padding's id; GGUF has them from 0.
            GGUFArchitecture(
                id: "bert", modelType: "xlm-roberta", className: "XLMRobertaModel", names: GGUFNames.xlmRoberta,
                prefix: "roberta.", constants: ["hidden_act": "gelu", "position_embedding_type": "absolute"])
        ]

    /// Mistral's files say that they are Llama's, which they are to the letter; DeepSeek V3's that they are V2's.
    static func writable(_ type: String) -> GGUFArchitecture? {
        let same = ["mistral": "llama", "deepseek_v3": "deepseek_v2"]
        return writable.first { $0.modelType == same[type] ?? type }
    }
}
