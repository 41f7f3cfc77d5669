import Glibc
import JSON
import PluginKit

/// A text of questions and answers, with a blank line behind each:
///
///     Q: What bird is it?
///     A: A martlet.
///
/// gives {"query": "What bird is it?", "response": "A martlet."}. A block without its Q: or A: is passed over.
final class QAList: DatasetFormat {
    private let lines: [Substring]
    /// Index of the line that is read next.
    private var line = 0

    static func probe(_ path: String, head: UnsafeBufferPointer<UInt8>) -> Int {
        path.hasSuffix(".qa") ? 100 : head.prefix(3).elementsEqual("Q: ".utf8) ? 60 : 0
    }

    init(path: String, options: JSON) throws {
        guard let file = fopen(path, "rb") else {
            throw PluginError(.io, "cannot be opened: \(String(cString: strerror(errno)))", at: path)
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        guard ferror(file) == 0 else { throw PluginError(.io, "cannot be read to its end", at: path) }
        lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }

    func next(_ row: inout [UInt8]) throws -> Bool {
        while line < lines.count, lines[line].allSatisfy(\.isWhitespace) { line += 1 }
        guard line < lines.count else { return false }
        let first = line
        while line < lines.count, !lines[line].allSatisfy(\.isWhitespace) { line += 1 }
        let block = lines[first..<line]
        let text = block.joined(separator: "\n")
        guard let answer = block.firstIndex(where: { $0.hasPrefix("A:") }), block[first].hasPrefix("Q:") else {
            throw DamagedRow("found a block without Q: or A:", at: "line \(first + 1)", text: text.utf8)
        }
        let value: JSON = ["query": Self.trimmed(block[..<answer]), "response": Self.trimmed(block[answer...])]
        row = Array(value.text().utf8)
        return true
    }

    /// Lines without the letter and colon of the first.
    private static func trimmed(_ lines: ArraySlice<Substring>) -> JSON {
        let text = lines.joined(separator: "\n").dropFirst(2).drop { $0 == " " }
        return .string(String(text))
    }

    /// The line that `next` begins at.
    var cursor: String { String(line) }

    func seek(_ cursor: String) throws {
        guard let place = Int(cursor), 0...lines.count ~= place else {
            throw PluginError(.invalid, "found \"\(cursor)\", wanted a line from 0 to \(lines.count)", at: "cursor")
        }
        line = place
    }

    var count: Int? { nil }
}
