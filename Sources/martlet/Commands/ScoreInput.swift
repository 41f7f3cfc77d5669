import Glibc
import JSON
import Model
import PluginKit

/// The token ids that a command line asks to be scored.
enum ScoreInput {
    /// - Parameter prepare: What is made of a text before it is encoded.
    static func sequences(
        _ arguments: Arguments, _ model: Model, prepare: (String) throws -> String = { $0 }
    ) throws -> [[Int32]] {
        if let path = arguments.text("ids") {
            return try Input.lines(path).enumerated().map { i, line in
                try ids((try? JSON(parsing: line)) ?? .null, model, at: "\(path), line \(i + 1)")
            }
        }
        let tokenizer = try model.tokenizer
        let options: EncodeOptions = arguments.bool("no_special") ? [] : [.addSpecial]
        let operands = try arguments.positional.map { try tokenizer.encode(prepare($0), options: options) }
        guard let path = arguments.text("texts") else { return operands }
        return try operands
            + Input.lines(path).enumerated().map { i, line in
                guard line.hasPrefix("{"), let row = try? JSON(parsing: line) else {
                    return try tokenizer.encode(prepare(line), options: options)
                }
                if let text = row["text"]?.string { return try tokenizer.encode(prepare(text), options: options) }
                if row["ids"] != nil { return try ids(row, model, at: "\(path), line \(i + 1)") }
                guard let messages = row["messages"] else {
                    throw UsageError("\(path), line \(i + 1) has neither \"text\", \"messages\" nor \"ids\"")
                }
                let prompt = try ChatForm(model).prompt(messages, tools: row["tools"], addGenerationPrompt: false)
                return try tokenizer.encode(prompt, options: .parseSpecial)
            }
    }

    /// Pairs of a query and a text: `--query` with the texts, or rows of `--texts`.
    static func pairs(_ arguments: Arguments, _ model: Model) throws -> [TextPair] {
        let tokenizer = try model.tokenizer
        let limit = model.shape.maximumPositions
        var pairs: [TextPair] = []
        if !arguments.positional.isEmpty {
            guard let query = arguments.text("query") else {
                throw UsageError("--query is missing: what the texts answer")
            }
            pairs = try arguments.positional.map { try tokenizer.encodePair(query, $0, limit: limit) }
        }
        guard let path = arguments.text("texts") else { return pairs }
        for (i, line) in try Input.lines(path).enumerated() {
            let row = try? JSON(parsing: line)
            let query = row?["query"]?.string ?? row?["text"]?.string ?? arguments.text("query")
            let one = row?["document"]?.string ?? row?["text_pair"]?.string ?? (row?.object == nil ? line : nil)
            let texts = row?["documents"]?.array?.compactMap(\.string) ?? one.map { [$0] } ?? []
            guard let query, !texts.isEmpty else {
                throw UsageError(
                    "\(path), line \(i + 1) is no pair: wanted \"query\" with \"document\" or \"documents\"")
            }
            pairs += try texts.map { try tokenizer.encodePair(query, $0, limit: limit) }
        }
        return pairs
    }

    private static func ids(_ row: JSON, _ model: Model, at place: String) throws -> [Int32] {
        guard let list = (row["ids"] ?? row).array else { throw UsageError("\(place) is no list of token ids") }
        return try list.map { value in
            guard let id = value.int, id >= 0, id < model.shape.vocabulary else {
                throw UsageError("\(place): \(value.text()) is no token id below \(model.shape.vocabulary)")
            }
            return Int32(id)
        }
    }

    /// The first ids and the last, which ends the sequence.
    static func cut(_ ids: [Int32], to limit: Int) -> [Int32] { Array(ids.prefix(limit - 1) + ids.suffix(1)) }
}

/// Text files and standard input.
enum Input {
    /// The lines of a file that are not empty; "-" is standard input.
    static func lines(_ path: String) throws -> [String] {
        try bytes(path).split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }.filter { !$0.isEmpty }
    }

    /// A whole text, without the line end that it stops with; "-" is standard input.
    static func text(_ path: String) throws -> String {
        let bytes = try bytes(path)
        return String(decoding: bytes.last == 0x0A ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw UsageError("\(path) cannot be read: \(String(cString: strerror(errno)))") }
        defer { if descriptor != 0 { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = read(descriptor, &chunk, chunk.count), count > 0 { bytes += chunk[..<count] }
        return bytes
    }
}
