import Glibc

/// Which files of a listing are wanted.
package struct FilePatterns: Sendable, Equatable {
    /// Shell patterns; none means all. "*" matches "/" too, as in huggingface_hub.
    package var include: [String]
    package var exclude: [String]

    package init(include: [String] = [], exclude: [String] = []) {
        self.include = include
        self.exclude = exclude
    }

    /// Second forms of the same weights, left out where safetensors are there and nothing was asked for.
    private static let duplicates = [
        "*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*", "original/*", "*.tflite", "*.gguf",
    ]

    func select(_ files: [RemoteFile]) -> [RemoteFile] {
        var out = files.filter { file in include.isEmpty || include.contains { Self.matches(file.name, $0) } }
        if include.isEmpty, out.contains(where: { $0.name.hasSuffix(".safetensors") && !$0.name.contains("/") }) {
            out.removeAll { file in Self.duplicates.contains { Self.matches(file.name, $0) } }
        }
        return out.filter { file in !exclude.contains { Self.matches(file.name, $0) } }
    }

    static func matches(_ name: String, _ pattern: String) -> Bool { fnmatch(pattern, name, 0) == 0 }

    /// The patterns as a key of the index: two downloads with the same key want the same files.
    var key: String { include.sorted().joined(separator: ",") + "|" + exclude.sorted().joined(separator: ",") }
}
