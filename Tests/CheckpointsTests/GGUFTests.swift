import CheckpointSupport
import CheckpointsGGUF
import CheckpointsSafetensors
import Files
import Foundation
import JSON
import PluginKit
import Testing

@Suite struct GGUFTests {
    @Test func everyTypeOfTheReferencePackageIsRead() throws {
        let wanted = try JSON(parsing: golden("types.gguf.json"))
        let directory = try TemporaryDirectory()
        let checkpoint = try GGUF(path: directory.file("types.gguf", golden("types.gguf")))
        let metadata = try #require(checkpoint.describe()["metadata"]?.object)
        for (key, value) in try #require(wanted["metadata"]?.object) {
            let found = try #require(metadata[key], "\(key)")
            #expect(found == value || found.double.map { Float($0) == Float(value.double ?? .nan) } == true, "\(key)")
        }
        let tensors = try #require(wanted["tensors"]?.array)
        #expect(checkpoint.tensors.count == tensors.count)
        for (found, row) in zip(checkpoint.tensors, tensors) {
            #expect(found.name == row[0]?.string && found.layout == row[1]?.string)
            #expect(found.shape == row[2]?.array?.compactMap(\.int))
            #expect(Int(found.offset) == row[3]?.int && Int(found.size) == row[4]?.int)
        }
    }

    @Test func blockSizesAreThoseOfTheReferencePackage() throws {
        let wanted = try #require(JSON(parsing: golden("types.gguf.json"))["sizes"]?.object)
        for (name, size) in wanted where !["q1_0", "q8_1", "q8_k"].contains(name) {
            let layout = try #require(ElementLayout.named(name), "\(name)")
            #expect(layout.elements == size[0]?.int && layout.bytes == size[1]?.int, "\(name)")
        }
    }

    @Test func tensorsCarryThePublishedNames() throws {
        let directory = try TemporaryDirectory()
        for (architecture, rows) in try #require(JSON(parsing: golden("gguf_names.json")).object) {
            let rows = try #require(rows.array)
            #expect(rows.count > 10)
            var builder = GGUFBuilder()
            builder.key("general.architecture", architecture == "mixtral" ? "llama" : architecture)
            builder.key("\(architecture == "mixtral" ? "llama" : architecture).attention.head_count", u32: 1)
            if architecture == "mixtral" { builder.key("llama.expert_count", u32: 2) }
            for row in rows {
                let name = row[0]?.string ?? ""
                builder.zeros(name, name.contains("_exps") ? [2, 4, 4] : [4, 4])
            }
            let checkpoint = try GGUF(path: directory.file("\(architecture).gguf", builder.file))
            let names = Set(checkpoint.tensors.map(\.name))
            for row in rows {
                let published = row[1]?.string ?? ""
                #expect(names.contains(published), "\(architecture): \(row[0]?.string ?? "") is not \(published)")
            }
        }
    }

    @Test func expertsOfAStackBecomeTensorsThatFollowEachOther() throws {
        let directory = try TemporaryDirectory()
        var builder = GGUFBuilder()
        builder.key("general.architecture", "qwen3moe")
        builder.zeros("blk.3.ffn_down_exps.weight", [4, 2, 8])
        let tensors = try GGUF(path: directory.file("a.gguf", builder.file)).tensors
        #expect(tensors.map(\.name) == (0..<4).map { "model.layers.3.mlp.experts.\($0).down_proj.weight" })
        #expect(tensors.allSatisfy { $0.shape == [2, 8] && $0.size == 64 })
        #expect(zip(tensors, tensors.dropFirst()).allSatisfy { $0.offset + 64 == $1.offset })
    }

    @Test func gemmaNormsAreLoweredByOneAndOthersAreNot() throws {
        let directory = try TemporaryDirectory()
        var builder = GGUFBuilder()
        builder.key("general.architecture", "gemma3")
        builder.zeros("blk.0.attn_q_norm.weight", [4])
        builder.zeros("output_norm.weight", [4])
        builder.zeros("blk.0.attn_q.weight", [4, 4])
        let tensors = try GGUF(path: directory.file("a.gguf", builder.file)).tensors
        #expect(tensors.map(\.addend) == [-1, -1, 0] && tensors.map(\.permutedHeads) == [0, 0, 0])
    }

    @Test func llama31RopeFactorsBecomeTheirSettings() throws {
        let directory = try TemporaryDirectory()
        var builder = GGUFBuilder()
        builder.key("general.architecture", "llama")
        builder.key("llama.rope.freq_base", f32: 500_000)
        builder.key("llama.attention.head_count", u32: 1)
        // Factors of Llama 3.2 (32, 1, 4, 8192; head 64) by the formula of the model's published code.
        let factors: [Float] = (0..<32).map { i in
            let frequency = 1 / pow(500_000, Double(i) / 32)
            let wavelength = 2 * Double.pi / frequency
            if wavelength > 8192 { return 32 }
            if wavelength < 8192 / 4 { return 1 }
            let smooth = (8192 / wavelength - 1) / 3
            return Float(frequency / ((1 - smooth) * frequency / 32 + smooth * frequency))
        }
        builder.tensor("rope_freqs.weight", [32], type: 0, offset: 0)
        builder.data = factors.flatMap { bytes($0.bitPattern) }
        let checkpoint = try GGUF(path: directory.file("a.gguf", builder.file))
        #expect(checkpoint.tensors.isEmpty)
        let scaling = checkpoint.describe()["config"]?["rope_scaling"]
        #expect(scaling?["rope_type"] == "llama3" && scaling?["factor"] == .double(32))
        #expect(scaling?["original_max_position_embeddings"] == 8192)
    }

    @Test func partsOfASplitFileAreOneCheckpoint() throws {
        let directory = try TemporaryDirectory()
        for part in 1...2 {
            var builder = GGUFBuilder()
            builder.key("general.architecture", "llama")
            builder.key("llama.attention.head_count", u32: 1)
            builder.key("split.count", 2, bytes(UInt16(2)))
            builder.zeros("blk.\(part).ffn_up.weight", [2, 2])
            _ = try directory.file("m-0000\(part)-of-00002.gguf", builder.file)
        }
        let checkpoint = try GGUF(path: directory.path)
        #expect(checkpoint.tensors.map(\.name) == (1...2).map { "model.layers.\($0).mlp.up_proj.weight" })
        #expect(checkpoint.tensors.map(\.file) == [0, 1] && checkpoint.files.count == 2)
        try FileManager.default.removeItem(atPath: directory.path + "/m-00002-of-00002.gguf")
        #expect(throws: (any Error).self) { try GGUF(path: directory.path) }
    }

    @Test func aDirectoryWithTwoModelsAsksForAName() throws {
        let directory = try TemporaryDirectory()
        for name in ["a.gguf", "b.gguf"] { _ = try directory.file(name, GGUFBuilder.small.file) }
        #expect(GGUF.probe(directory.path) == 0 && GGUF.probe(directory.path + "/a.gguf") == 100)
        let error = #expect(throws: PluginError.self) { try GGUF(path: directory.path) }
        #expect(error?.message.contains("a.gguf, b.gguf") == true)
    }

    /// Llama's rotation of q and k is stored with each head's pairs side by side; with the permutation undone, both
    /// forms of the model hold the same bits.
    @Test func aRealModelIsTheSameInBothForms() throws {
        guard let folder = sharedData("weights/stories260K") else {
            print("skipped: no shared data")
            return
        }
        let one = try GGUF(path: folder + "/stories260K.gguf")
        let other = try Safetensors(path: folder + "/hf")
        let maps = (try MappedFile(one.files[0]), try MappedFile(other.files[0]))
        // The GGUF file holds the tied output matrix once more.
        #expect(Set(one.tensors.map(\.name)) == Set(other.tensors.map(\.name)).union(["lm_head.weight"]))
        for entry in one.tensors {
            let name = entry.name == "lm_head.weight" ? "model.embed_tokens.weight" : entry.name
            let twin = try #require(other.tensors.first { $0.name == name })
            #expect(entry.shape == twin.shape && entry.layout == "f32" && entry.size == twin.size)
            var found = Array(maps.0.bytes[Int(entry.offset)..<Int(entry.offset + entry.size)])
            if entry.permutedHeads > 0 { found = restored(found, entry) }
            let same = found == Array(maps.1.bytes[Int(twin.offset)..<Int(twin.offset + twin.size)])
            #expect(same, "\(entry.name)")
        }
        let config = try #require(one.describe()["config"])
        let published = try JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: folder + "/hf/config.json"))))
        for (key, value) in try #require(published.object)
        where !["torch_dtype", "head_dim", "tie_word_embeddings"].contains(key) {
            #expect(
                config[key] == value || config[key]?.double == value.double,
                "\(key): \(String(describing: config[key]))")
        }
    }

    /// Rows back in the published order: row 2i + j of a head goes to j · half + i.
    private func restored(_ data: [UInt8], _ entry: TensorEntry) -> [UInt8] {
        let row = data.count / entry.shape[0]
        let head = entry.shape[0] / entry.permutedHeads
        var out = data
        for r in 0..<entry.shape[0] {
            let (h, k) = r.quotientAndRemainder(dividingBy: head)
            let to = h * head + k % 2 * (head / 2) + k / 2
            out.replaceSubrange(to * row..<(to + 1) * row, with: data[r * row..<(r + 1) * row])
        }
        return out
    }
}
