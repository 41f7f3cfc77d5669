import Files
import Foundation
import Testing

/// A directory of its own for one test, removed at the end.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "martlet-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = self.path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    func file(_ name: String, _ text: String) throws -> String { try file(name, Array(text.utf8)) }
}

/// A file beside this one, made by a script in Tests/Oracles.
func golden(_ name: String) throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
    return Array(try Data(contentsOf: folder.appendingPathComponent(name)))
}

/// A folder of shared data: in MARTLET_SHARED_DATA, or in "shared/data" beside some folder above this file.
func sharedData(_ name: String) -> String? {
    var candidates = [ProcessInfo.processInfo.environment["MARTLET_SHARED_DATA"]].compactMap { $0 }
    var folder = URL(fileURLWithPath: #filePath)
    while folder.path != "/" {
        folder.deleteLastPathComponent()
        candidates.append(folder.appendingPathComponent("shared/data").path)
    }
    return candidates.map { $0 + "/" + name }.first { FileManager.default.fileExists(atPath: $0) }
}

/// Little-endian bytes of an integer.
func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }

/// The bytes that hexadecimal digits spell.
func hexBytes(_ digits: String) -> [UInt8] {
    let digits = Array(digits.utf8)
    var out: [UInt8] = []
    for at in stride(from: 0, to: digits.count - 1, by: 2) {
        out.append(UInt8(String(decoding: digits[at...at + 1], as: UTF8.self), radix: 16) ?? 0)
    }
    return out
}

/// Runs `parse` on every prefix of `file`, and on it with each bit of its first `header` bytes turned. A parser may
/// take or refuse each of them, but a refusal names the file.
func bruise(_ file: [UInt8], header: Int, whole: Bool, _ parse: (UnsafeRawBufferPointer) throws -> Void) {
    func attempt(_ bytes: [UInt8], _ note: @autoclosure () -> String) -> Bool {
        do {
            try bytes.withUnsafeBytes(parse)
            return true
        } catch let error as FileError {
            if error.path != "test" || error.field.isEmpty || error.found.isEmpty || error.wanted.isEmpty {
                Issue.record("\(note()): the error is not whole: \(error)")
            }
        } catch {
            Issue.record("\(note()): \(error) is no FileError")
        }
        return false
    }
    for count in 0..<file.count where attempt(Array(file[..<count]), "cut at \(count)") && whole {
        Issue.record("a file cut at \(count) of \(file.count) is taken")
    }
    for at in 0..<min(header, file.count) {
        for bit in 0..<8 {
            var copy = file
            copy[at] ^= 1 << bit
            _ = attempt(copy, "bit \(bit) of byte \(at)")
        }
    }
}
