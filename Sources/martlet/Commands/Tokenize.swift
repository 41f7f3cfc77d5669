import JSON
import Model
import PluginKit

/// Token ids and pieces of texts, and back.
enum TokenizeCommand: Command {
    static let name = "tokenize"
    static let summary = "Token ids and pieces of texts, or texts of ids"
    static let operands = "[TEXT …]"
    static let flags =
        Session.modelFlags + [
            Flag("no_special", .boolean, "Add no beginning or end tokens", default: "false"),
            Flag("decode", .boolean, "Standard input or operands are ids; print their text", default: "false"),
        ]

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let tokenizer = try TextFiles(path: Session.modelPath(arguments, registry), components: registry)
            .openTokenizer()
        let texts = try arguments.positional.isEmpty ? Input.lines("-") : arguments.positional
        for given in texts {
            // A row of a JSONL file stands for its text, or its ids.
            let row = given.hasPrefix("{") ? try? JSON(parsing: given) : nil
            let text = row?["text"]?.string ?? (arguments.bool("decode") ? row?["ids"]?.text() : nil) ?? given
            if arguments.bool("decode") {
                let ids = text.split { $0 == "," || $0 == " " || $0 == "[" || $0 == "]" }.compactMap { Int32($0) }
                Terminal.line(try tokenizer.decode(ids, skipSpecial: false))
                continue
            }
            let ids = try tokenizer.encode(
                text, options: arguments.bool("no_special") ? [] : [.addSpecial, .parseSpecial])
            if arguments.bool("json") {
                let line: JSON = [
                    "ids": .array(ids.map { .int(Int64($0)) }),
                    "pieces": .array(ids.map { .string(tokenizer.piece($0) ?? "") }),
                ]
                Terminal.line(line.text())
            } else {
                for id in ids { Terminal.line("\(id)\t\(JSON.string(tokenizer.piece(id) ?? "").text())") }
            }
        }
    }
}

/// The prompt that a conversation becomes.
enum RenderCommand: Command {
    static let name = "render"
    static let summary = "The prompt text and ids that a conversation becomes"
    static let operands = "MESSAGES.json"
    static let flags =
        Session.modelFlags + [
            Flag("tools", .text, "JSON file with tools"),
            Flag("add_generation_prompt", .boolean, "End with the head of an answer", default: "true"),
        ]
    static var operandCount: ClosedRange<Int> { 0...1 }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let files = try TextFiles(path: Session.modelPath(arguments, registry), components: registry)
        let tokenizer = try files.openTokenizer()
        let form = try ChatForm(files.chatTemplate, settings: files.settings, tokenizer: tokenizer, at: files.path)
        let document = try read(arguments.positional.first ?? "-")
        let tools = try arguments.text("tools").map(read)
        let text = try form.prompt(
            document["messages"] ?? document, tools: tools ?? document["tools"],
            addGenerationPrompt: arguments.bool("add_generation_prompt"))
        let ids = try tokenizer.encode(text, options: .parseSpecial)
        if arguments.bool("json") {
            let line: JSON = ["text": .string(text), "ids": .array(ids.map { .int(Int64($0)) })]
            Terminal.line(line.text())
        } else {
            Terminal.line(text)
            Terminal.line(ids.map(String.init).joined(separator: " "))
        }
    }

    private static func read(_ path: String) throws -> JSON {
        do throws(JSONError) {
            return try JSON(parsing: try lines(path))
        } catch {
            throw UsageError("\(path): \(error)")
        }
    }

    private static func lines(_ path: String) throws(JSONError) -> String {
        guard let lines = try? Input.lines(path) else { throw JSONError(message: "cannot be read", line: 1, column: 1) }
        return lines.joined(separator: "\n")
    }
}
