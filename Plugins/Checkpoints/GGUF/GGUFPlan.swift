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
    /// What becomes of one tensor that is handed in, or of some of its rows.
    struct Part {
        let target: Int
        /// Which expert of a stack.
        var expert: Int?
        /// The tensor's rows in the order in which they are written; nil: all, as they stand.
        var rows: [Int]?
        /// Rows and columns change places.
        var isTransposed = false
        var addend: Float = 0
    }

    private(set) var targets: [Target] = []
    /// For each tensor that is handed in; none for those that GGUF has no place for.
    private(set) var parts: [[Part]] = []
    private(set) var dataSize = 0
    private let architecture: GGUFArchitecture
    private let names: [String: String]

    /// - Parameters:
    ///   - layout: What matrices become; nil keeps theirs.
    ///   - isTransposed: Linear weights are handed in as [in, out].
    init(
        _ tensors: [TensorEntry], _ architecture: GGUFArchitecture, config: JSON, layout: String?,
        isTransposed: Bool, alignment: Int, path: String
    ) throws(FileError) {
        self.architecture = architecture
        names = Dictionary(architecture.names.map { ($0.published, $0.gguf) }, uniquingKeysWith: { first, _ in first })
        let order = GGUFRowOrder(config, architecture)
        let layers = config[architecture.configKeys["block_count"] ?? "num_hidden_layers"]?.int ?? 0
        var byName: [String: Int] = [:]
        for tensor in tensors {
            if Self.needless.contains(where: { tensor.name.hasSuffix($0) }) {
                parts.append([])
                continue
            }
            guard let (name, expert) = target(tensor.name) else {
                throw FileError(
                    path, "tensor \(FileError.quote(tensor.name))",
                    found: "a name that \(architecture.id) has not in GGUF",
                    wanted: "the tensors of \(architecture.className)")
            }
            let turns = isTransposed && tensor.shape.count == 2 && name.hasPrefix("blk.")
            let whole = tensor.shape.filter { $0 != 1 }.isEmpty ? [1] : turns ? tensor.shape.reversed() : tensor.shape
            guard let pieces = order.pieces(name, rows: whole.first ?? 1) else {
                throw FileError(
                    path, "tensor \(FileError.quote(tensor.name))", found: "\(whole.first ?? 0) rows",
                    wanted: "whole heads of queries, keys and values")
            }
            var own: [Part] = []
            for (name, rows) in pieces {
                let shape = rows.map { [$0.count] + whole.dropFirst() } ?? whole
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
                own.append(
                    Part(
                        target: index, expert: expert, rows: rows, isTransposed: turns,
                        addend: name.hasSuffix("norm.weight") ? Float(architecture.normAddend) : 0))
            }
            parts.append(own)
        }
        try place(alignment, path)
    }

    /// Constants that older versions of transformers saved beside the weights.
    private static let needless = [
        "rotary_emb.inv_freq", "rotary_pos_emb.inv_freq", ".attn.bias", ".attn.masked_bias", "embeddings.position_ids",
    ]

    private mutating func place(_ alignment: Int, _ path: String) throws(FileError) {
        var counts = [Int](repeating: 0, count: targets.count)
        for part in parts.joined() { counts[part.target] += 1 }
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
        if let at = parts.firstIndex(where: { ["layers", "layer", "h"].contains($0) }), at + 1 < parts.count,
            Int(parts[at + 1]) != nil
        {
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
        let prefix = architecture.prefix
        /// As the tables have it, or with or without what may stand before it.
        func named(_ name: String) -> String? {
            if let found = names[name] ?? names[prefix + name] { return found }
            return name.hasPrefix(prefix) ? names[String(name.dropFirst(prefix.count))] : nil
        }
        let found =
            named(parts.joined(separator: "."))
            ?? parts.last.flatMap { ending in
                named(parts.dropLast().joined(separator: ".")).map { $0 + "." + ending }
            }
        return found.map { ($0.replacing("#", with: layer ?? "#"), expert) }
    }

    /// Vectors stay f32, as llama.cpp wants them; small or odd matrices are not quantized, or in blocks that they fill.
    private static func layout(_ name: String, _ shape: [Int], own: String, wanted: String?, layers: Int) -> String {
        let small = ["ffn_gate_inp", "position_embd", "token_types"]
        if shape.count < 2 || small.contains(where: name.contains) { return "f32" }
        guard let wanted else { return own }
        let isQuantized = wanted.hasPrefix("q")
        let columns = shape.last ?? 0
        if isQuantized, columns % 32 != 0 { return "f16" }
        // The head decides which token is likeliest: it keeps more bits.
        let isHead = ["output.weight", "token_embd.weight"].contains(name)
        guard wanted.hasSuffix("_k") else { return isQuantized && isHead ? "q8_0" : wanted }
        let chosen = isHead ? "q6_k" : mixed(name, wanted, layers)
        let whole = columns % GGUFQuantizer.superblock == 0
        return whole ? chosen : ["q2_k": "q4_0", "q3_k": "q4_0", "q4_k": "q5_0", "q5_k": "q5_1"][chosen] ?? "q8_0"
    }

    /// What llama.cpp's mixtures Q2_K, Q3_K_M, Q4_K_M and Q5_K_M give a matrix (llama-quant.cpp): values and down projections,
    /// whose error counts most, have more bits than `wanted`.
    private static func mixed(_ name: String, _ wanted: String, _ layers: Int) -> String {
        let isValue = name.contains(".attn_v."), isDown = name.contains(".ffn_down")
        guard let layer = name.split(separator: ".").dropFirst().first.flatMap({ Int($0) }) else { return wanted }
        let eighth = layers / 8
        // The first and last eighth of the layers, and every third between.
        let counts = layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
        switch wanted {
        case "q2_k": return isValue || isDown || name.contains(".attn_output.") ? "q3_k" : wanted
        case "q3_k" where isValue: return layer < 2 ? "q5_k" : "q4_k"
        case "q3_k" where isDown: return layer < layers / 16 ? "q5_k" : counts ? "q4_k" : wanted
        case "q3_k": return name.contains(".attn_output.") ? "q4_k" : wanted
        default: return (isValue || isDown) && counts ? "q6_k" : wanted
        }
    }
}
