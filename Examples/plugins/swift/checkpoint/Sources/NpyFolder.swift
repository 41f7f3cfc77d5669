import Glibc
import JSON
import PluginKit

/// A directory of NumPy arrays, one tensor a file: NAME.npy (NEP 1: "\x93NUMPY", version, header length, a Python dict,
/// data). Read only.
final class NpyFolder: Checkpoint {
    let tensors: [TensorEntry]
    let files: [String]

    static func probe(_ path: String) -> Int { names(path).isEmpty ? 0 : 50 }

    init(path: String) throws {
        let names = Self.names(path)
        guard !names.isEmpty else { throw PluginError(.notFound, "found no NAME.npy", at: path) }
        files = names.map { "\(path)/\($0).npy" }
        tensors = try names.enumerated().map { i, name in
            try NpyHeader(path: "\(path)/\(name).npy").entry(name: name, file: i)
        }
    }

    func describe() -> JSON { ["metadata": [:]] }

    static func create(path: String, options: JSON, tensors: [TensorEntry]) throws -> any CheckpointWriter {
        throw PluginError(.unsupported, "arrays of NumPy are read only", at: path)
    }

    /// The names before ".npy" in a directory, in order.
    private static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".npy") { names.append(String(name.dropLast(4))) }
        }
        return names.sorted()
    }
}

/// What stands before an array's data.
struct NpyHeader {
    private let path: String
    private let layout: String
    private let shape: [Int]
    private let offset, size: Int

    init(path: String) throws {
        self.path = path
        guard let file = fopen(path, "rb") else {
            throw PluginError(.io, "cannot be opened: \(String(cString: strerror(errno)))", at: path)
        }
        defer { fclose(file) }
        var head = [UInt8](repeating: 0, count: 1 << 16)
        head.removeLast(head.count - fread(&head, 1, head.count, file))
        guard head.count > 12, head[0] == 0x93, head[1..<6].elementsEqual("NUMPY".utf8), 1...3 ~= head[6] else {
            throw PluginError(.invalid, "is no array of NumPy", at: path)
        }
        // Version 1 has two bytes of length, later ones four.
        let digits = head[6] == 1 ? 2 : 4
        let length = (0..<digits).reduce(0) { $0 | Int(head[8 + $1]) << (8 * $1) }
        offset = 8 + digits + length
        guard offset <= head.count else { throw PluginError(.invalid, "ends within its header", at: path) }
        let header = String(decoding: head[8 + digits..<offset], as: UTF8.self)
        func value(_ key: String) -> Substring? {
            header.split(separator: "'\(key)':").dropFirst().first.map { $0.drop { $0 == " " } }
        }
        let types = ["'<f4'": "f32", "'<f2'": "f16"]
        guard let type = value("descr")?.prefix(5), let layout = types[String(type)] else {
            throw PluginError(
                .unsupported, "found \(value("descr")?.prefix(8) ?? "no type"), wanted <f4 or <f2", at: path)
        }
        guard value("fortran_order")?.hasPrefix("False") == true, let list = value("shape"), list.first == "(" else {
            throw PluginError(.unsupported, "wanted a shape, and the last index fastest", at: path)
        }
        let parts = list.dropFirst().prefix { $0 != ")" }.split(separator: ",").map { $0.filter { $0 != " " } }
        let dims = parts.filter { !$0.isEmpty }.map { Int($0) ?? -1 }
        var bytes = layout == "f32" ? 4 : 2
        for size in dims {
            let (product, isTooLarge) = bytes.multipliedReportingOverflow(by: size)
            guard size >= 0, !isTooLarge else { throw PluginError(.invalid, "found the shape (\(parts))", at: path) }
            bytes = product
        }
        guard fseek(file, 0, SEEK_END) == 0, ftell(file) - offset >= bytes else {
            throw PluginError(.invalid, "ends before its \(bytes) bytes of data", at: path)
        }
        (self.layout, shape, size) = (layout, dims, bytes)
    }

    func entry(name: String, file: Int) -> TensorEntry {
        TensorEntry(name: name, layout: layout, shape: shape, file: file, offset: UInt64(offset), size: UInt64(size))
    }
}
