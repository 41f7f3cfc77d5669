import CheckpointsGGUF
import CheckpointsSafetensors
import Files
import Foundation
import JSON
import PluginKit
import Testing

/// GGUF files as the writer makes them: blocks against ggml's own, and whole models read back.
@Suite struct GGUFWriterTests {
    private static let goldens = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Goldens").path

    private static func bytes(_ checkpoint: any Checkpoint, _ name: String) throws -> [UInt8] {
        let entry = try #require(checkpoint.tensors.first { $0.name == name })
        let file = try MappedFile(checkpoint.files[entry.file])
        return withExtendedLifetime(file) { Array(file.bytes[Int(entry.offset)..<Int(entry.offset + entry.size)]) }
    }

    private static func config(_ variant: String) throws -> JSON {
        try JSON(
            parsing: Array(try Data(contentsOf: URL(fileURLWithPath: "\(goldens)/families/\(variant)/config.json"))))
    }

    private static let matrix = "model.layers.0.mlp.up_proj.weight"

    /// The golden rows of 512 values as blocks of a layout.
    private static func blocks(_ layout: String, _ reference: any Checkpoint) throws -> [UInt8] {
        let directory = try TemporaryDirectory()
        let writer = try GGUF.create(
            path: directory.path + "/model.gguf", options: ["config": config("llama"), "layout": .string(layout)],
            tensors: [TensorEntry(name: matrix, layout: "f32", shape: [2, 512], size: 4096)])
        try bytes(reference, "source").withUnsafeBytes { try writer.write($0) }
        try writer.finish()
        let written = try GGUF(path: directory.path + "/model.gguf")
        #expect(written.tensors.first { $0.name == matrix }?.layout == layout)
        return try bytes(written, matrix)
    }

    @Test(arguments: ["f16", "bf16", "q8_0", "q6_k", "q5_1", "q5_0", "q4_1", "q4_0"])
    func blocksAreThoseOfTheReference(
        layout: String
    ) throws {
        let reference = try Safetensors(path: Self.goldens + "/quantized/gguf.safetensors")
        #expect(try Self.blocks(layout, reference) == Self.bytes(reference, layout.uppercased() + "/bytes"))
    }

    /// Sums in another order than the reference's choose another of two fits that are as good.
    @Test(arguments: ["q2_k", "q3_k", "q4_k", "q5_k"]) func theErrorOfFittedBlocksIsThatOfTheReference(layout: String)
        throws
    {
        let reference = try Safetensors(path: Self.goldens + "/quantized/gguf.safetensors")
        let source = Self.floats(try Self.bytes(reference, "source"))
        func error(_ bytes: [UInt8]) -> Float {
            zip(Self.decoded(bytes, layout), source).reduce(0) {
                $0 + ($1.0 - $1.1) * ($1.0 - $1.1)
            }
        }
        let ours = try Self.blocks(layout, reference)
        let theirs = try Self.bytes(reference, layout.uppercased() + "/bytes")
        #expect(error(ours) <= 1.001 * error(theirs), "\(error(ours)) against \(error(theirs))")
        #expect(error(theirs) > 0)
        // Decoded as the reference decodes its own.
        let values = Self.floats(try Self.bytes(reference, layout.uppercased() + "/values"))
        for (found, wanted) in zip(Self.decoded(theirs, layout), values) {
            #expect((found - wanted).magnitude <= 1e-6)
        }
    }

    /// Values of q2_K, q4_K and q5_K blocks, by the format's description (ggml-common.h).
    private static func decoded(_ bytes: [UInt8], _ layout: String) -> [Float] {
        if layout == "q2_k" { return decodedTwoBits(bytes) }
        if layout == "q3_k" { return decodedThreeBits(bytes) }
        let hasFifthBits = layout == "q5_k"
        let size = hasFifthBits ? 176 : 144
        return (0..<bytes.count / size).flatMap { index -> [Float] in
            let block = Array(bytes[index * size..<(index + 1) * size])
            func half(_ at: Int) -> Float { HalfFloat.float(UInt16(block[at]) | UInt16(block[at + 1]) << 8) }
            return (0..<256).map { i in
                let part = i / 32
                let scale, depth: UInt8
                if part < 4 {
                    (scale, depth) = (block[4 + part] & 63, block[8 + part] & 63)
                } else {
                    scale = block[8 + part] & 15 | (block[part] >> 6) << 4
                    depth = block[8 + part] >> 4 | (block[4 + part] >> 6) << 4
                }
                var step = block[(hasFifthBits ? 48 : 16) + 32 * (part / 2) + i % 32]
                step = part % 2 == 0 ? step & 15 : step >> 4
                if hasFifthBits { step |= (block[16 + i % 32] >> UInt8(part) & 1) << 4 }
                return half(0) * Float(scale) * Float(step) - half(2) * Float(depth)
            }
        }
    }

    private static func decodedThreeBits(_ bytes: [UInt8]) -> [Float] {
        (0..<bytes.count / 110).flatMap { index -> [Float] in
            let block = Array(bytes[index * 110..<(index + 1) * 110])
            let d = HalfFloat.float(UInt16(block[108]) | UInt16(block[109]) << 8)
            return (0..<256).map { i in
                let part = i / 16
                let low = part < 8 ? block[96 + part] & 15 : block[88 + part] >> 4
                let scale = Int(low | (block[104 + part % 4] >> UInt8(part / 4 * 2) & 3) << 4) - 32
                let step = Int(block[32 + i / 128 * 32 + i % 32] >> UInt8(i % 128 / 32 * 2) & 3)
                return d * Float(scale * (block[i % 32] >> UInt8(i / 32) & 1 == 1 ? step : step - 4))
            }
        }
    }

    private static func decodedTwoBits(_ bytes: [UInt8]) -> [Float] {
        (0..<bytes.count / 84).flatMap { index -> [Float] in
            let block = Array(bytes[index * 84..<(index + 1) * 84])
            func half(_ at: Int) -> Float { HalfFloat.float(UInt16(block[at]) | UInt16(block[at + 1]) << 8) }
            return (0..<256).map { i in
                let step = block[16 + i / 128 * 32 + i % 32] >> UInt8(i % 128 / 32 * 2) & 3
                return half(80) * Float(block[i / 16] & 15) * Float(step) - half(82) * Float(block[i / 16] >> 4)
            }
        }
    }

    @Test(arguments: [
        "llama", "llama-bias", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma", "phi3", "olmo2", "minicpm",
        "bert", "bert-classifier", "qwen", "chatglm", "chatglm4", "deepseek_v2", "deepseek_v2-lite",
        "deepseek_v3", "glm4",
    ])
    func aModelReadsBackAsItWas(variant: String) throws {
        let directory = try TemporaryDirectory()
        let source = try Safetensors(path: "\(Self.goldens)/families/\(variant)")
        let config = try Self.config(variant)
        let path = directory.path + "/model.gguf"
        let writer = try GGUF.create(path: path, options: ["config": config], tensors: source.tensors)
        for tensor in source.tensors { try Self.bytes(source, tensor.name).withUnsafeBytes { try writer.write($0) } }
        try writer.finish()
        let written = try GGUF(path: path)
        let isTied = config["tie_word_embeddings"]?.bool ?? false
        for tensor in source.tensors where !isTied || tensor.name != "lm_head.weight" {
            // Prefixes are left out of some published files, and GGUF's reader puts in what transformers writes.
            let read = try #require(
                written.tensors.first {
                    $0.name == tensor.name || $0.name.hasSuffix("." + tensor.name)
                        || tensor.name.hasSuffix("." + $0.name)
                }, "\(tensor.name)")
            #expect(read.shape == tensor.shape, "\(tensor.name)")
            let found = Self.floats(try Self.bytes(written, read.name)).map { $0 + Float(read.addend) }
            let wanted = Self.floats(try Self.bytes(source, tensor.name))
            let order = Self.order(rows: tensor.shape[0], heads: read.permutedHeads)
            let columns = wanted.count / tensor.shape[0]
            let restored = (0..<wanted.count).map { found[order($0 / columns) * columns + $0 % columns] }
            let error = zip(restored, wanted).reduce(Float(0)) { max($0, ($1.0 - $1.1).magnitude) }
            #expect(error <= (read.addend == 0 ? 0 : 1e-6), "\(tensor.name)")
        }
        let described = written.describe()["config"]
        for key in [
            "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
            "vocab_size", "num_experts_per_tok", "n_embd", "n_head", "n_layer", "scale_emb", "dim_model_base",
            "multi_query_group_num", "ffn_hidden_size", "num_layers", "kv_channels", "seq_length", "qk_rope_head_dim",
            "qk_nope_head_dim", "v_head_dim", "kv_lora_rank", "q_lora_rank", "n_routed_experts", "n_shared_experts",
            "scoring_func", "first_k_dense_replace", "type_vocab_size",
        ] {
            guard let wanted = config[key], !wanted.isNull else { continue }
            #expect(described?[key] == wanted || described?[key]?.double == wanted.double, "\(key)")
        }
        guard let theta = config["rope_theta"]?.double else { return }
        #expect(described?["rope_theta"]?.double == theta)
    }

    /// InternLM2's packed projection comes apart: groups of queries, then a key and a value.
    @Test func aPackedProjectionIsCutIntoItsHeads() throws {
        let directory = try TemporaryDirectory()
        let source = try Safetensors(path: "\(Self.goldens)/families/internlm2")
        let config = try Self.config("internlm2")
        let path = directory.path + "/model.gguf"
        let writer = try GGUF.create(path: path, options: ["config": config], tensors: source.tensors)
        for tensor in source.tensors { try Self.bytes(source, tensor.name).withUnsafeBytes { try writer.write($0) } }
        try writer.finish()
        let written = try GGUF(path: path)
        let heads = try #require(config["num_attention_heads"]?.int)
        let keyHeads = try #require(config["num_key_value_heads"]?.int)
        let packed = try #require(source.tensors.first { $0.name == "model.layers.0.attention.wqkv.weight" })
        let values = Self.floats(try Self.bytes(source, packed.name))
        let (share, columns) = (heads / keyHeads, packed.shape[1])
        let width = packed.shape[0] / (keyHeads * (share + 2))
        for (name, parts) in [("q", 0..<share), ("k", share..<share + 1), ("v", share + 1..<share + 2)] {
            let read = try #require(written.tensors.first { $0.name == "model.layers.0.self_attn.\(name)_proj.weight" })
            let found = Self.floats(try Self.bytes(written, read.name))
            let order = Self.order(rows: read.shape[0], heads: read.permutedHeads)
            for row in 0..<read.shape[0] {
                let head = row / width
                let from =
                    (head / parts.count * (share + 2) + parts.lowerBound + head % parts.count) * width + row % width
                #expect(
                    found[order(row) * columns..<(order(row) + 1) * columns]
                        == values[from * columns..<(from + 1) * columns],
                    "\(name), row \(row)")
            }
        }
    }

    private static func floats(_ bytes: [UInt8]) -> [Float] {
        bytes.withUnsafeBytes { raw in
            (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }

    /// Where row r of two halves stands among pairs of neighbours.
    private static func order(rows: Int, heads: Int) -> (Int) -> Int {
        guard heads > 0 else { return { $0 } }
        let width = rows / heads
        return { $0 / width * width + 2 * ($0 % width % (width / 2)) + $0 % width / (width / 2) }
    }

    @Test func whatCannotBeWrittenIsNamed() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/model.gguf"
        func message(_ options: JSON, _ name: String) -> String {
            do {
                _ = try GGUF.create(
                    path: path, options: options,
                    tensors: [TensorEntry(name: name, layout: "f32", shape: [2, 32], size: 256)])
                return ""
            } catch { return "\(error)" }
        }
        let config = try Self.config("llama")
        #expect(message(["config": ["model_type": "whisper"]], "a").contains("whisper"))
        #expect(message(["config": config, "layout": "q3_0"], "lm_head.weight").contains("q3_0"))
        #expect(message(["config": config], "model.layers.0.strange.weight").contains("strange"))
        #expect(try System.list(directory.path).isEmpty)
    }
}
