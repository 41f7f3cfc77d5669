import Glibc
import JSON
import Model
import PluginKit

/// Per-token log-probabilities of texts or token ids.
enum ScoreCommand: Command {
    static let name = "score"
    static let summary = "Log-probabilities and perplexity of texts or token ids"
    static let operands = "[TEXT …]"
    static let flags =
        Session.modelFlags + [
            Flag("ids", .text, "JSONL file with a list of token ids a line; - reads standard input"),
            Flag("no_special", .boolean, "Add no beginning or end tokens", default: "false"),
        ]

    static func run(_ arguments: Arguments) throws {
        let model = try Session.model(arguments, try Session.registry(arguments))
        let scorer = Scorer(model)
        var total = 0.0
        var count = 0
        for (i, ids) in try sequences(arguments, model).enumerated() {
            let logits = try scorer.logits(ids)
            let logprobs = logprobs(logits, ids, vocabulary: model.shape.vocabulary)
            total += logprobs.reduce(0, +)
            count += logprobs.count
            let mean = logprobs.isEmpty ? 0 : -logprobs.reduce(0, +) / Double(logprobs.count)
            if arguments.bool("json") {
                let line: JSON = [
                    "index": .int(Int64(i)), "ids": .array(ids.map { .int(Int64($0)) }),
                    "logprobs": .array(logprobs.map(JSON.double)), "nll": .double(mean), "perplexity": .double(exp(mean)),
                ]
                Terminal.line(line.text())
            } else {
                Terminal.line("\(i)\t\(ids.count) tokens\tnll \(mean)\tperplexity \(exp(mean))")
            }
        }
        if !arguments.bool("json"), count > 0 {
            Terminal.line("all\t\(count) scored tokens\tnll \(-total / Double(count))\tperplexity \(exp(-total / Double(count)))")
        }
    }

    private static func sequences(_ arguments: Arguments, _ model: Model) throws -> [[Int32]] {
        guard let path = arguments.text("ids") else {
            let tokenizer = try model.tokenizer
            return try arguments.positional.map {
                try tokenizer.encode($0, options: arguments.bool("no_special") ? [] : [.addSpecial])
            }
        }
        return try Input.lines(path).enumerated().map { i, line in
            guard let list = (try? JSON(parsing: line))?.array else {
                throw UsageError("\(path), line \(i + 1) is no list of token ids")
            }
            return try list.map { value in
                guard let id = value.int, id >= 0, id < model.shape.vocabulary else {
                    throw UsageError("\(path), line \(i + 1): \(value.text()) is no token id below \(model.shape.vocabulary)")
                }
                return Int32(id)
            }
        }
    }

    /// log p(ids[t + 1] | ids[0 ... t]) for each t.
    private static func logprobs(_ logits: [Float], _ ids: [Int32], vocabulary: Int) -> [Double] {
        (0..<max(0, ids.count - 1)).map { t in
            let row = logits[t * vocabulary..<(t + 1) * vocabulary]
            let top = Double(row.max() ?? 0)
            let total = row.reduce(0.0) { $0 + exp(Double($1) - top) }
            return Double(logits[t * vocabulary + Int(ids[t + 1])]) - top - log(total)
        }
    }
}

/// Text files and standard input.
enum Input {
    /// The lines of a file that are not empty; "-" is standard input.
    static func lines(_ path: String) throws -> [String] {
        let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw UsageError("\(path) cannot be read: \(String(cString: strerror(errno)))") }
        defer { if descriptor != 0 { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = read(descriptor, &chunk, chunk.count), count > 0 { bytes += chunk[..<count] }
        return bytes.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }.filter { !$0.isEmpty }
    }
}
