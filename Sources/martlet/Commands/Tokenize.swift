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
            Flag(
                "no_special", .boolean,
                "Add no beginning or end tokens; those that the text spells out are read as such", default: "false"),
            Flag(
                "decode", .boolean, "The operands, or each line of standard input, are a list of ids; print its text",
                default: "false"),
        ]

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let tokenizer = try TextFiles(path: Session.modelPath(arguments, registry), components: registry)
            .openTokenizer()
        if arguments.bool("decode") { return try decode(arguments, tokenizer) }
        let texts = try arguments.positional.isEmpty ? Input.lines("-") : arguments.positional
        for given in texts {
            // A row of a JSONL file stands for its text.
            let row = given.hasPrefix("{") ? try? JSON(parsing: given) : nil
            let ids = try tokenizer.encode(
                row?["text"]?.string ?? given,
                options: arguments.bool("no_special") ? .parseSpecial : [.addSpecial, .parseSpecial])
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

    /// Texts of ids: the operands are one list, each line of standard input another.
    private static func decode(_ arguments: Arguments, _ tokenizer: TokenizerHandle) throws {
        let lists = arguments.positional
        for given in try lists.isEmpty ? Input.lines("-") : [lists.joined(separator: " ")] {
            let row = given.hasPrefix("{") ? try? JSON(parsing: given) : nil
            let words = (row?["ids"]?.text() ?? given).split { ", []\t\r".contains($0) }
            guard !words.isEmpty else { throw UsageError("\"\(given)\" holds no token id") }
            let ids = try words.map { word in
                guard let id = Int32(word), id >= 0, Int(id) < tokenizer.vocabularySize || tokenizer.piece(id) != nil
                else {
                    throw UsageError("\"\(word)\" is no token id; they go from 0 to \(tokenizer.vocabularySize - 1)")
                }
                return id
            }
            let text = try tokenizer.decode(ids, skipSpecial: false)
            let line: JSON = ["ids": .array(ids.map { .int(Int64($0)) }), "text": .string(text)]
            Terminal.line(arguments.bool("json") ? line.text() : text)
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
