import Console
import Files
import Glibc
import Host

/// Where the messages of a conversation come from: an editor at a terminal, plain lines elsewhere.
struct ChatInput {
    private let editor: LineEditor?

    /// - Parameter commands: What a word that begins with a slash may be completed to.
    init(commands: [String]) {
        guard LineEditor.isPossible(output: Terminal.output) else {
            editor = nil
            return
        }
        let directory = FileService.cacheDirectory
        mkdir(directory, 0o700)
        editor = LineEditor(
            history: History(path: System.join(directory, "infer_history")), output: Terminal.output
        ) { text in
            text.hasPrefix("/") ? commands.filter { $0.hasPrefix(text) } : []
        }
    }

    /// One message; nil at the end of the input. Ctrl-C gives up what was written and begins anew.
    /// - Parameter isMultiline: It ends with a line that holds # alone; a command is one line nevertheless.
    func message(_ prompt: String, isMultiline: Bool) -> String? {
        var lines: [String] = []
        while true {
            switch line(lines.isEmpty ? prompt : ". ") {
            case .end: return lines.isEmpty ? nil : lines.joined(separator: "\n")
            case .interrupted: lines = []
            case .text(let line):
                if isMultiline {
                    if line == "#" { return lines.joined(separator: "\n") }
                    if lines.isEmpty, line.hasPrefix("/") || line == "single-line" { return line }
                    lines.append(line)
                } else if line.hasSuffix("\\") {
                    lines.append(String(line.dropLast()))
                } else {
                    return (lines + [line]).joined(separator: "\n")
                }
            }
        }
    }

    private func line(_ prompt: String) -> LineEditor.Line {
        Interrupt.reset()
        if let editor { return editor.read(prompt) }
        Terminal.write(prompt)
        if let line = Terminal.readLine() { return .text(line) }
        // A read that Ctrl-C ended starts a new line; the end of the input ends the conversation.
        Terminal.line("")
        guard Interrupt.wasAsked else { return .end }
        Interrupt.reset()
        return .interrupted
    }
}
