import Glibc
import JSON
import Model
import Serving

/// The conversation on a terminal.
enum InferChat {
    private static let commands = [
        "/help", "/clear", "/system", "/history", "/retry", "/undo", "/set", "/multi", "/single", "/save", "/quit",
    ]

    private static let help = """
        /help              this list
        /clear             forget the conversation
        /system [TEXT]     set the system message, or show it
        /history           the conversation so far
        /retry             answer the last question again
        /undo              take the last question and its answer back
        /set NAME VALUE    temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty,
                           max_new_tokens, seed
        /multi, /single    messages of several lines, ended by a line with # alone; or of one line
        /save FILE         write the conversation as JSON messages
        /quit              end; so does Ctrl-D
        A line that ends in \\ goes on in the next, as does one that Alt-Enter ends; pasted lines stay together.
        Arrows move and bring back what was written before. Ctrl-C stops an answer.
        """

    static func run(_ arguments: Arguments, _ service: TextService, _ settings: GenerationSettings) throws {
        guard !arguments.bool("raw") else { return try complete(service, settings) }
        let session = try ChatSession(service, settings: settings, system: arguments.text("system"))
        session.variables = InferCommand.variables(arguments)
        var isMultiline = false
        let input = ChatInput(commands: commands)
        Terminal.line("\(service.model.path): /help lists the commands, Ctrl-C stops an answer, /quit ends.")
        while let text = input.message("> ", isMultiline: isMultiline) {
            let words = text.split(separator: " ", maxSplits: 1).map(String.init)
            let rest = words.count > 1 ? words[1] : ""
            switch words.first ?? "" {
            case "": continue
            case "/quit", "/exit", "quit", "exit": return
            case "/help": Terminal.line(help)
            case "/clear", "clear": session.clear()
            case "/multi", "multi-line": isMultiline = true
            case "/single", "single-line": isMultiline = false
            case "reset-system": session.system = nil
            case "/system" where rest.isEmpty: Terminal.line(session.system ?? "(none)")
            case "/system": session.system = rest
            case "/history": for message in session.messages { Terminal.line("\(message.role): \(message.text)") }
            case "/undo": if session.retract() == nil { Terminal.line("there is nothing to take back") }
            case "/retry":
                if let question = session.retract() {
                    try ask(question, session)
                } else {
                    Terminal.line("nothing was asked yet")
                }
            case "/set": set(rest, &session.settings)
            case "/save":
                do { try Terminal.save(document(session).text(), to: rest) } catch { Terminal.line("\(error)") }
            case let word where word.hasPrefix("/") && !word.dropFirst().contains("/"):
                Terminal.line("\(word) is unknown; /help lists the commands")
            default: try ask(text, session)
            }
        }
    }

    /// Continues texts, one after the other.
    private static func complete(_ service: TextService, _ settings: GenerationSettings) throws {
        let input = ChatInput(commands: ["/quit"])
        while let text = input.message("raw> ", isMultiline: false) {
            if text.isEmpty { continue }
            if text == "/quit" { return }
            Interrupt.reset()
            let answer = try service.submit(try service.encode(text), settings, onText: Terminal.write)
            try service.finish(answer, isInterrupted: { Interrupt.wasAsked })
            Terminal.line("\n" + (answer.end == .error ? answer.message : InferCommand.figures(answer)))
        }
    }

    private static func ask(_ text: String, _ session: ChatSession) throws {
        Interrupt.reset()
        do {
            let answer = try session.ask(text, isInterrupted: { Interrupt.wasAsked }, onText: Terminal.write)
            Terminal.line("\n" + InferCommand.figures(answer))
        } catch {
            // A prompt that is too long, or a template that refuses, does not end the conversation.
            Terminal.line("\(error)")
        }
    }

    private static func set(_ text: String, _ settings: inout GenerationSettings) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 2 else { return Terminal.line("wanted /set NAME VALUE") }
        guard let flag = InferCommand.flags.first(where: { $0.name == words[0] }), flag.takes(words[1]) else {
            let flag = InferCommand.flags.first { $0.name == words[0] && $0.range != nil }
            return Terminal.line(
                flag.map { "\(words[0]) is \(words[1]), wanted \($0.wanted)" }
                    ?? "\(words[0]) cannot be set to \(words[1]); /help lists what can")
        }
        let (number, whole) = (Double(words[1]), Int(words[1]))
        switch (words[0], number, whole) {
        case ("temperature", let value?, _): settings.temperature = value
        case ("top_p", let value?, _): settings.topP = value
        case ("min_p", let value?, _): settings.minP = value
        case ("repetition_penalty", let value?, _): settings.repetitionPenalty = value
        case ("presence_penalty", let value?, _): settings.presencePenalty = value
        case ("frequency_penalty", let value?, _): settings.frequencyPenalty = value
        case ("top_k", _, let value?): settings.topK = value
        case ("max_new_tokens", _, let value?): settings.maximumTokens = value
        case ("seed", _, let value?): settings.seed = value
        default: Terminal.line("\(words[0]) cannot be set to \(words[1]); /help lists what can")
        }
    }

    private static func document(_ session: ChatSession) -> JSON {
        func json(_ role: String, _ text: String) -> JSON { ["role": .string(role), "content": .string(text)] }
        let head = session.system.map { [json("system", $0)] } ?? []
        return ["messages": .array(head + session.messages.map { json($0.role, $0.text) })]
    }
}
