import Files
import Host
import JSON

/// `martlet plugin new --kind KIND --lang LANG NAME`: a directory that builds with one command.
enum PluginNew: Command {
    static let name = "new"
    static let summary = "Start a plugin: a directory that builds with one command"
    static let operands = "NAME"
    static let operandCount = 1...1
    static let flags = [
        Flag(
            "kind", .text,
            "What it offers: model, tuner, optimizer, loss, quantizer, dataset, filter, reward, metric, logger; in Swift also tokenizer, checkpoint, hub, device, engine, op",
            default: "model"),
        Flag("lang", .text, "c, rust or swift", default: "c"),
        Flag("output", .text, "Directory to make it in", default: "."),
    ]

    static func run(_ arguments: Arguments) throws {
        let name = arguments.positional[0]
        guard name.utf8.allSatisfy({ 97...122 ~= $0 || 48...57 ~= $0 || $0 == 95 }), let first = name.utf8.first,
            first > 57
        else {
            throw UsageError("NAME is \"\(name)\", wanted lower-case letters, digits and '_', the first a letter")
        }
        let (kind, language) = (arguments.text("kind") ?? "", arguments.text("lang") ?? "")
        let files = try PluginTemplate.find(kind: kind, language: language).files(name: name, kind: kind)
        let directory = FileSystem.absolute(name, from: arguments.text("output") ?? ".")
        guard System.kind(of: directory) == nil else {
            throw UsageError("\(directory) exists already; choose another name")
        }
        for (file, text) in files {
            try System.makeDirectories(FileSystem.parent(of: "\(directory)/\(file)"))
            try Terminal.save(text, to: "\(directory)/\(file)", isNew: true)
        }
        Terminal.line(
            "made \(directory). Next:\n  cd \(directory)\n  make\n  martlet plugin check .\n  martlet plugin add .")
    }
}
