import Glibc
import JSON
import Model
import PluginKit

/// Answers one prompt, or holds a conversation.
enum InferCommand: Command {
    static let name = "infer"
    static let summary = "Chat with a model, or complete a prompt"
    static let operands = "[PROMPT]"
    static let flags =
        Session.modelFlags + [
            Flag("system", .text, "System message"),
            Flag("raw", .boolean, "Complete the text as it stands, without the chat template", default: "false"),
            Flag("max_new_tokens", .integer, "Most tokens to generate", default: "256", aliases: ["max_tokens"]),
            Flag("temperature", .number, "0 takes the likeliest token", default: "0"),
            Flag("top_k", .integer, "Choose among this many; 0 = all", default: "0"),
            Flag("top_p", .number, "Choose among the likeliest that make up this share", default: "1"),
            Flag("repetition_penalty", .number, "Above 1 avoids repeating", default: "1"),
            Flag("seed", .integer, "Seed of the choice", default: "42"),
        ]

    static func run(_ arguments: Arguments) throws {
        let model = try Session.model(arguments, try Session.registry(arguments))
        let session = try Conversation(model, arguments)
        if !arguments.positional.isEmpty {
            return try session.answer(arguments.positional.joined(separator: " "))
        }
        let isTerminal = isatty(0) == 1
        if !isTerminal {
            return try session.answer(try Input.lines("-").joined(separator: "\n"))
        }
        Terminal.line("/clear forgets the conversation, /system TEXT sets the system message, /quit ends.")
        while true {
            Terminal.write("> ")
            guard let line = readLine() else { return }
            switch line {
            case "": continue
            case "/quit", "/exit", "quit", "exit": return
            case "/clear": session.clear()
            case _ where line.hasPrefix("/system "): session.system = String(line.dropFirst(8))
            case _ where line.hasPrefix("/"): Terminal.line("unknown: \(line)")
            default: try session.answer(line)
            }
        }
    }

    /// Messages so far, and the model that answers them.
    private final class Conversation {
        private let model: Model
        private let generator: Generator
        private let form: ChatForm?
        private let arguments: Arguments
        private var sampling = Sampling()
        private var messages: [JSON] = []
        var system: String?

        init(_ model: Model, _ arguments: Arguments) throws {
            self.model = model
            self.arguments = arguments
            generator = Generator(model)
            form = arguments.bool("raw") ? nil : try ChatForm(model)
            system = arguments.text("system")
            sampling.temperature = arguments.double("temperature") ?? 0
            sampling.topK = arguments.int("top_k") ?? 0
            sampling.topP = arguments.double("top_p") ?? 1
            sampling.repetitionPenalty = arguments.double("repetition_penalty") ?? 1
            sampling.seed = UInt64(bitPattern: Int64(arguments.int("seed") ?? 42))
        }

        func clear() { messages = [] }

        func answer(_ text: String) throws {
            let tokenizer = try model.tokenizer
            var ids: [Int32]
            if let form {
                messages.append(["role": "user", "content": .string(text)])
                let head: [JSON] = system.map { [["role": "system", "content": .string($0)]] } ?? []
                ids = try tokenizer.encode(try form.prompt(.array(head + messages)), options: .parseSpecial)
            } else {
                ids = try tokenizer.encode(text, options: .addSpecial)
            }
            if ids.isEmpty, let bos = tokenizer.bos { ids = [bos] }
            let decoder = try tokenizer.makeDecoder(skipSpecial: true)
            var reply = ""
            let isJSON = arguments.bool("json")
            let outcome = try generator.generate(
                ids, sampling: sampling, maximumTokens: arguments.int("max_new_tokens") ?? 256, stops: Set(model.endTokens)
            ) { id in
                let piece = try decoder.push(id)
                reply += piece
                if !isJSON { Terminal.write(piece) }
                return true
            }
            let rest = try decoder.finish()
            reply += rest
            if form != nil { messages.append(["role": "assistant", "content": .string(reply)]) }
            let rate = Double(outcome.newTokens - 1) / max(1e-9, outcome.seconds - outcome.secondsToFirst)
            if isJSON {
                let line: JSON = [
                    "text": .string(reply), "finish_reason": .string(outcome.end.rawValue),
                    "prompt_tokens": .int(Int64(outcome.promptTokens)), "completion_tokens": .int(Int64(outcome.newTokens)),
                    "seconds_to_first_token": .double(outcome.secondsToFirst), "tokens_per_second": .double(max(0, rate)),
                ]
                return Terminal.line(line.text())
            }
            Terminal.line(rest)
            if Terminal.isInteractive {
                let first = Int(outcome.secondsToFirst * 1000)
                Terminal.line("[\(outcome.promptTokens) + \(outcome.newTokens) tokens, first after \(first) ms, then \(Int(max(0, rate))) tokens/s]")
            }
        }
    }
}
