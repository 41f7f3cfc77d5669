import CheckpointSupport
import Files
import PluginKit

/// Turns the tensors of a GGUF file into those of the published checkpoint, without touching their bytes.
struct GGUFTensors {
    let file: GGUFFile
    let architecture: GGUFArchitecture?
    private let published: [String: String]

    /// Experts of one stack; each becomes a tensor of its own.
    static let maximumExperts = 4096
    /// Tensors of GGUF alone: their values are part of config.json elsewhere.
    static let configuration = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"]

    init(_ file: GGUFFile, _ architecture: GGUFArchitecture?) {
        self.file = file
        self.architecture = architecture
        published = Dictionary((architecture?.names ?? []).map { ($0.gguf, $0.published) }, uniquingKeysWith: { $1 })
    }

    /// The entries of all tensors; `heads` gives the heads of the queries and of the keys in a layer.
    func entries(file index: Int, heads: (Int) -> (query: Int, key: Int)) throws(FileError) -> [TensorEntry] {
        var out: [TensorEntry] = []
        for tensor in file.tensors where !Self.configuration.contains(tensor.name) {
            let (general, layer) = Self.split(tensor.name)
            guard let name = publishedName(general, layer) else {
                out.append(entry(tensor, tensor.name, index))
                continue
            }
            if name.contains("@") {
                try appendExperts(tensor, name, index, to: &out)
                continue
            }
            var entry = entry(tensor, name, index)
            if architecture?.permutes == true {
                let base = general.prefix { $0 != "." } == "blk" ? general.dropFirst("blk.#.".count) : general[...]
                if base.hasPrefix("attn_q.") { entry.permutedHeads = try permuted(tensor, heads(layer).query) }
                if base.hasPrefix("attn_k.") { entry.permutedHeads = try permuted(tensor, heads(layer).key) }
            }
            if general.hasSuffix("norm.weight") { entry.addend = -(architecture?.normAddend ?? 0) }
            out.append(entry)
        }
        return out
    }

    private func entry(_ tensor: GGUFFile.Tensor, _ name: String, _ index: Int) -> TensorEntry {
        TensorEntry(
            name: name, layout: tensor.layout.id, shape: tensor.shape, file: index, offset: UInt64(tensor.offset),
            size: UInt64(tensor.size))
    }

    /// "blk.12.attn_q.weight" as "blk.#.attn_q.weight" and 12; other names with layer 0.
    static func split(_ name: String) -> (general: String, layer: Int) {
        let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, String(layer) == parts[1]
        else { return (name, 0) }
        return ("blk.#.\(parts[2])", layer)
    }

    private func publishedName(_ general: String, _ layer: Int) -> String? {
        if let whole = published[general] { return Self.fill(whole, layer) }
        guard let dot = general.utf8.lastIndex(of: UInt8(ascii: ".")),
            let base = published[String(general[..<dot])]
        else { return nil }
        return Self.fill(base, layer) + general[dot...]
    }

    private static func fill(_ pattern: String, _ layer: Int) -> String {
        guard let mark = pattern.utf8.firstIndex(of: UInt8(ascii: "#")) else { return pattern }
        return pattern[..<mark] + "\(layer)" + pattern[pattern.utf8.index(after: mark)...]
    }

    /// A stack [experts, rows, columns] as one tensor an expert; their bytes follow each other.
    private func appendExperts(
        _ tensor: GGUFFile.Tensor, _ name: String, _ index: Int, to out: inout [TensorEntry]
    ) throws(FileError) {
        guard tensor.shape.count >= 2, (1...Self.maximumExperts).contains(tensor.shape[0]) else {
            throw FileError(
                file.path, "tensor \(FileError.quote(tensor.name)), dimensions", found: "\(tensor.shape)",
                wanted: "[experts, rows, columns] with at most \(Self.maximumExperts) experts")
        }
        let halves = name.split(separator: "@", maxSplits: 1)
        let size = tensor.size / tensor.shape[0]
        for expert in 0..<tensor.shape[0] {
            out.append(
                TensorEntry(
                    name: halves[0] + "\(expert)" + halves[1], layout: tensor.layout.id,
                    shape: Array(tensor.shape.dropFirst()), file: index,
                    offset: UInt64(tensor.offset + expert * size), size: UInt64(size)))
        }
    }

    private func permuted(_ tensor: GGUFFile.Tensor, _ heads: Int) throws(FileError) -> Int {
        guard (1...65536).contains(heads), let rows = tensor.shape.first, rows % (2 * heads) == 0 else {
            throw FileError(
                file.path, "tensor \(FileError.quote(tensor.name)), dimensions", found: "\(tensor.shape)",
                wanted: "rows that \(heads) heads of even width fill")
        }
        return heads
    }
}
