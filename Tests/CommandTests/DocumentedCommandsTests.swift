import Glibc
import Testing

/// Every command that the documents show has the flags that it shows.
@Suite(.enabled(if: Program.isThere, "the product martlet is not built")) struct DocumentedCommandsTests {
    /// Lines of indented or fenced code that begin with martlet; continued lines are joined.
    static let commands: [String] = {
        let files = Program.run("ls README.md Documentation/*.md Documentation/*/*.md").text.split(separator: "\n").map(
            String.init)
        var found: [String] = []
        for file in files {
            var open: String?
            var isFenced = false
            for line in Program.run("cat '\(file)'").text.split(separator: "\n", omittingEmptySubsequences: false) {
                if line.hasPrefix("```") { isFenced.toggle() }
                let text = line.drop { $0 == " " }
                let isCode = isFenced || line.hasPrefix("    ")
                if let begun = open {
                    open = begun + " " + text
                } else if isCode, text.hasPrefix("martlet ") || text.hasPrefix(".build/release/martlet ") {
                    open = String(text.drop { $0 != " " }.dropFirst())
                }
                guard let whole = open else { continue }
                if whole.hasSuffix("\\") {
                    open = String(whole.dropLast())
                } else {
                    found.append(whole)
                    open = nil
                }
            }
        }
        return found
    }()

    @Test func thereAreSome() { #expect(Self.commands.count > 10) }

    @Test(arguments: commands) func theFlagsAreKnown(command: String) {
        // What is behind a comment sign, a pipe or a redirection is the shell's; options in brackets are the manual's.
        var words = command
        for mark in [" # ", " | ", " > ", " < ", " && ", " & ", "; "] {
            words = words.range(mark).map { String(words[..<$0]) } ?? words
        }
        words = words.filter { !"[]…".contains($0) }
        // The file that a document speaks of is not here.
        words = words.replacing(" --config run.yaml", with: "")
        let outcome = Program.run("martlet \(words) --help")
        #expect(outcome.status == 0, "martlet \(words): \(outcome.text.prefix(300))")
    }
}

extension String {
    fileprivate func range(_ mark: String) -> String.Index? { firstRange(of: mark)?.lowerBound }
}
