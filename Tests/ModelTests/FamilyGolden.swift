import Host
import Model
import Testing

/// What transformers gives for one small random model.
struct FamilyGolden {
    static let root = "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/") + "/Goldens/families/"
    private let file: CheckpointHandle

    init(_ variant: String, _ components: Registry) throws {
        file = try CheckpointHandle(path: Self.root + variant + "/expected.safetensors", components: components)
    }

    func contains(_ name: String) -> Bool { file.tensors[name] != nil }

    func elements<Element>(_ name: String) throws -> [Element] {
        let bytes = try file.bytes(of: try #require(file.tensors[name]))
        return (0..<bytes.count / MemoryLayout<Element>.size).map {
            bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: Element.self)
        }
    }

    /// The largest difference over the largest wanted value.
    static func relativeError(_ found: [Float], _ wanted: [Float]) -> Float {
        guard found.count == wanted.count, !found.isEmpty else { return .infinity }
        return zip(found, wanted).reduce(0) { max($0, ($1.0 - $1.1).magnitude) }
            / wanted.reduce(0) { max($0, $1.magnitude) }
    }
}
