import Files
import Glibc
internal import Graph
package import JSON
package import Model
internal import PluginKit
internal import Random
internal import Training

/// A model with random weights from a configuration alone: to train from the beginning, or to measure a shape.
///
/// Matrices are normal with `initializer_range` as deviation, norms are 1 and biases 0, as transformers begins. Without a
/// tokenizer beside the configuration the model reads bytes.
package struct NewModel {
    private let config: JSON
    private let layout: String
    private let seed: UInt64
    private let parameters: [Parameter]

    /// - Parameter layout: "f32", "bf16" or "f16".
    package init(config: JSON, layout: String, seed: UInt64, components: any ComponentSource, at path: String) throws {
        self.config = config
        self.layout = layout
        self.seed = seed
        parameters = try FamilyHandle(config: config, components: components, at: path).outline().parameters.flatMap(
            Self.stored
        )
        .sorted { $0.name < $1.name }
    }

    package var count: Int { parameters.reduce(0) { $0 + $1.shape.reduce(1, *) } }

    /// The tensors of a file: experts stand one by one, and transposed weights as [in, out].
    private static func stored(_ parameter: Parameter) -> [Parameter] {
        if let star = parameter.name.firstIndex(of: "*"), let experts = parameter.shape.first {
            let (head, tail) = (parameter.name[..<star], parameter.name[parameter.name.index(after: star)...])
            return (0..<experts).map {
                Parameter(name: "\(head)\($0)\(tail)", shape: Array(parameter.shape.dropFirst()))
            }
        }
        return [
            Parameter(
                name: parameter.name, shape: parameter.isTransposed ? parameter.shape.reversed() : parameter.shape)
        ]
    }

    /// Writes weights and configuration, and a tokenizer of bytes unless `hasTokenizer`.
    package func write(to directory: String, hasTokenizer: Bool, components: any ComponentSource) throws {
        try System.makeDirectories(directory)
        let width = layout == "f32" ? 4 : 2
        let writer = try CheckpointWriterHandle(
            format: "safetensors", path: directory,
            options: ["metadata": ["format": "pt"], "max_shard_bytes": 5_000_000_000],
            tensors: parameters.map {
                TensorEntry(name: $0.name, layout: layout, shape: $0.shape, size: UInt64($0.shape.reduce(width, *)))
            }, components: components)
        for parameter in parameters {
            let values = values(parameter)
            switch layout {
            case "bf16": try writer.write(values.map(HalfFloat.bfloat))
            case "f16": try writer.write(values.map(HalfFloat.half))
            default: try writer.write(values)
            }
        }
        try writer.finish()
        try config.write(to: System.join(directory, "config.json"))
        guard !hasTokenizer else { return }
        let tokenizer = ByteTokenizer()
        guard config["vocab_size"]?.int ?? 0 >= tokenizer.count else {
            throw ExportError(
                .invalid,
                "found a vocab_size of \(config["vocab_size"]?.int ?? 0), wanted at least \(tokenizer.count) for bytes",
                at: "config.json")
        }
        try tokenizer.document.write(to: System.join(directory, "tokenizer.json"))
        try tokenizer.config.write(to: System.join(directory, "tokenizer_config.json"))
    }

    /// Writes the configuration, and a checkpoint whose numbers take no room on disk and read as 0: enough to plan with.
    package func writeShape(to directory: String) throws {
        try System.makeDirectories(directory)
        try config.write(to: System.join(directory, "config.json"))
        let width = layout == "f32" ? 4 : 2
        var header = JSONObject()
        var end = 0
        for parameter in parameters {
            let start = end
            end += parameter.shape.reduce(width, *)
            header[parameter.name] = [
                "dtype": .string(layout.uppercased()), "shape": .array(parameter.shape.map { .int(Int64($0)) }),
                "data_offsets": [.int(Int64(start)), .int(Int64(end))],
            ]
        }
        // The format's head: the text's length in 8 bytes, and the text.
        let text = Array(JSON.object(header).text().utf8)
        let head = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
        let path = System.join(directory, "model.safetensors")
        try ReplacementFile.write(head, to: path)
        guard truncate(path, off_t(head.count + end)) == 0 else {
            throw ExportError(
                .invalid, "the file system cannot hold a file of \(end) bytes without their content", at: path)
        }
    }

    private func values(_ parameter: Parameter) -> [Float] {
        let count = parameter.shape.reduce(1, *)
        if parameter.shape.count < 2 {
            let isNorm = parameter.name.hasSuffix(".weight")
            return [Float](repeating: isNorm ? 1 : 0, count: count)
        }
        let deviation = Float(config["initializer_range"]?.double ?? 0.02)
        let stream = parameter.name.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return [Float](unsafeUninitializedCapacity: count) { out, filled in
            // Box and Muller 1958: two at a time.
            for i in stride(from: 0, to: count, by: 2) {
                let words = Philox.block(seed: seed, stream: stream, counter: UInt64(i))
                let radius = (-2 * log((Float(words.0 >> 8) + 0.5) * 0x1p-24)).squareRoot() * deviation
                let angle = 2 * Float.pi * Float(words.1 >> 8) * 0x1p-24
                out[i] = radius * cos(angle)
                if i + 1 < count { out[i + 1] = radius * sin(angle) }
            }
            filled = count
        }
    }
}
