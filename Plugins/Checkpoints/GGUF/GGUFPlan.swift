import CheckpointSupport
import Files
import JSON
import PluginKit

/// Where each tensor of a published checkpoint goes in a GGUF file, and in which form.
struct GGUFPlan {
    /// A tensor of the file.
    struct Target {
        let name: String
        let layout: ElementLayout
        /// Outermost first.
        var shape: [Int]
        /// Bytes from the start of the data.
        var offset = 0
        var size = 0
    }
    /// What becomes of one tensor that is handed in.
    struct Part {
        let target: Int
        /// Which expert of a stack.
        let expert: Int?
        /// Heads whose rows are brought into the interleaved rope order; 0 = none.
        let heads: Int
        let addend: Float
    }

    private(set) var targets: [Target] = []
    private(set) var parts: [Part] = []
    private(set) var dataSize = 0
    private let architecture: GGUFArchitecture
    private let names: [String: String]

    /// - Parameter layout: What matrices become; nil keeps theirs.
    init(
        _ tensors: [TensorEntry], _ architecture: GGUFArchitecture, config: JSON, layout: String?, alignment: Int,
        path: String
    ) throws(FileError) {
        self.architecture = architecture
        names = Dictionary(architecture.names.map { ($0.published, $0.gguf) }, uniquingKeysWith: { first, _ in first })
        let heads = config["num_attention_heads"]?.int ?? 0
        let keyHeads = config["num_key_value_heads"]?.int ?? heads
        let layers = config["num_hidden_layers"]?.int ?? 0
        var byName: [String: Int] = [:]
        for tensor in tensors {
            guard let (name, expert) = target(tensor.name) else {
                throw FileError(
                    path, "tensor \(FileError.quote(tensor.name))",
                    found: "a name that \(architecture.id) has not in GGUF",
                    wanted: "the tensors of \(architecture.className)")
            }
            let shape = tensor.shape.filter { $0 != 1 }.isEmpty ? [1] : tensor.shape
            let chosen = Self.layout(name, shape, own: tensor.layout, wanted: layout, layers: layers)
            guard let target = ElementLayout.named(chosen),
                GGUFQuantizer.layouts.contains(tensor.layout) || chosen == tensor.layout
            else {
                throw FileError(
                    path, "tensor \(FileError.quote(tensor.name))", found: "the layout \(tensor.layout)",
                    wanted: "f32, f16 or bf16")
            }
            if byName[name] == nil {
                byName[name] = targets.count
                targets.append(Target(name: name, layout: target, shape: expert == nil ? shape : [0] + shape))
            }
            let index = byName[name] ?? 0
            if let expert { targets[index].shape[0] = max(targets[index].shape[0], expert + 1) }
            let isQuery = name.contains(".attn_q."), isKey = name.contains(".attn_k.")
            parts.append(
                Part(
                    target: index, expert: expert,
                    heads: architecture.permutes && isQuery ? heads : architecture.permutes && isKey ? keyHeads : 0,
                    addend: name.hasSuffix("norm.weight") ? Float(architecture.normAddend) : 0))
        }
        try place(tensors, alignment, path)
    }

    private mutating func place(_ tensors: [TensorEntry], _ alignment: Int, _ path: String) throws(FileError) {
        var counts = [Int](repeating: 0, count: targets.count)
        for part in parts { counts[part.target] += 1 }
        for i in targets.indices {
            let shape = targets[i].shape
            guard let size = targets[i].layout.byteCount(shape: shape), let end = checkedSum(dataSize, size),
                counts[i] == (targets[i].name.contains("_exps.") ? shape[0] : 1)
            else {
                throw FileError(
                    path, "tensor \(targets[i].name)", found: "\(counts[i]) parts for the shape \(shape)",
                    wanted: "each expert once, rows of whole blocks")
            }
            targets[i].offset = dataSize
            targets[i].size = size
            dataSize = alignedUp(end, to: alignment) ?? end
        }
    }

    /// GGUF's name, and the expert of a stack.
    private func target(_ published: String) -> (name: String, expert: Int?)? {
        var parts = published.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        var layer: String?
        if let at = parts.firstIndex(of: "layers"), at + 1 < parts.count, Int(parts[at + 1]) != nil {
            layer = parts[at + 1]
            parts[at + 1] = "#"
        }
        var expert: Int?
        if let at = parts.firstIndex(of: "experts"), at + 1 < parts.count, let number = Int(parts[at + 1]),
            number < 4096
        {
            expert = number
            parts[at + 1] = "@"
        }
        let whole = parts.joined(separator: ".")
        let found =
            names[whole]
            ?? parts.last.flatMap { ending in
                names[parts.dropLast().joined(separator: ".")].map { $0 + "." + ending }
            }
        return found.map { ($0.replacing("#", with: layer ?? "#"), expert) }
    }

    /// Vectors stay f32, as llama.cpp wants them; small or odd matrices are not quantized, or in blocks that they fill.
    private static func layout(_ name: String, _ shape: [Int], own: String, wanted: String?, layers: Int) -> String {
        if shape.count < 2 || name.contains("ffn_gate_inp") || name.contains("position_embd") { return "f32" }
        guard let wanted else { return own }
        let isQuantized = wanted.hasPrefix("q")
        let columns = shape.last ?? 0
        if isQuantized, columns % 32 != 0 { return "f16" }
        // The head decides which token is likeliest: it keeps more bits.
        let isHead = ["output.weight", "token_embd.weight"].contains(name)
        guard wanted.hasSuffix("_k") else { return isQuantized && isHead ? "q8_0" : wanted }
        let chosen = isHead || hasMoreBits(name, layers) ? "q6_k" : wanted
        let whole = columns % GGUFQuantizer.superblock == 0
        return whole ? chosen : ["q4_k": "q5_0", "q5_k": "q5_1"][chosen] ?? "q8_0"
    }

    /// The matrices of llama.cpp's mixtures Q4_K_M and Q5_K_M whose error counts most (llama-quant.cpp): values and
    /// down projections of the first and last eighth of the layers, and of every third between.
    private static func hasMoreBits(_ name: String, _ layers: Int) -> Bool {
        guard name.contains(".attn_v.") || name.contains(".ffn_down"),
            let layer = name.split(separator: ".").dropFirst().first.flatMap({ Int($0) })
        else { return false }
        let eighth = layers / 8
        return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
    }
}
