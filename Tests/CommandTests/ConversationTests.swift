import Testing

/// `infer` at a terminal: the program stands behind a pseudo-terminal, and the test presses keys.
@Suite(.serialized, .enabled(if: Program.isThere, "the product martlet is not built"))
struct ConversationTests {
    /// A conversation with a small random model.
    private func conversation(
        _ scratch: Scratch, tokens: Int = 3, _ flags: String...
    ) throws -> PseudoTerminal {
        if !scratch.has("model") {
            let made = Program.run(
                """
                sed 's/"max_position_embeddings": 512/"max_position_embeddings": 65536/' Examples/facts/tiny-config.json \
                > '\(scratch.path)/config.json' && martlet create '\(scratch.path)/config.json' --output_dir '\(scratch.path)/model'
                """)
            try #require(made.status == 0, "\(made.text)")
            scratch.file(
                "model/chat_template.jinja",
                "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:")
        }
        let terminal = try #require(
            PseudoTerminal(
                [Program.path, "infer", "--model", scratch.path + "/model", "--max_new_tokens", "\(tokens)"] + flags,
                environment: [
                    "TERM=xterm", "HOME=\(scratch.path)", "MARTLET_CACHE=\(scratch.path)/cache", "LANG=C.UTF-8",
                ]))
        try #require(terminal.wait(for: "\u{1B}[?2004h"), "\(terminal.output)")
        return terminal
    }

    private func ask(_ terminal: PseudoTerminal, _ keys: String) {
        terminal.press(keys)
        // The figures end an answer.
        terminal.wait(for: "tokens/s")
        terminal.waitForPrompt()
    }

    /// What `/history` shows of the user's messages.
    private func messages(_ terminal: PseudoTerminal) -> [Substring] {
        terminal.press("/history\r")
        terminal.wait(for: "\u{1B}[?2004l")
        let start = terminal.seen
        terminal.waitForPrompt()
        return terminal.text(from: start).split(whereSeparator: \.isNewline).filter { $0.hasPrefix("user: ") }
    }

    @Test func theLineIsEditedAndTheArrowsBringBackWhatWasWritten() throws {
        let scratch = Scratch()
        let terminal = try conversation(scratch)
        // "helo", one to the left, "l"; then the same again, one word changed.
        ask(terminal, "helo\u{1B}[Dl\r")
        ask(terminal, "\u{1B}[A there\u{17}you\r")
        #expect(messages(terminal) == ["user: hello", "user: hello you"], "\(terminal.output)")
        terminal.press("\u{04}")
        #expect(terminal.end() == 0)

        // Another run knows the lines of the one before: the history itself, then the two messages.
        let later = try conversation(scratch)
        ask(later, "\u{1B}[A\u{1B}[A\u{1B}[A\r")
        #expect(messages(later) == ["user: hello"], "\(later.output)")
        later.press("/qu\t\r")
        #expect(later.end() == 0)
    }

    @Test func pastedLinesAreOneMessageAndControlCGivesALineUp() throws {
        let scratch = Scratch()
        let terminal = try conversation(scratch)
        terminal.press("never asked\u{03}")
        terminal.waitForPrompt()
        ask(terminal, "\u{1B}[200~first\nsecond\u{1B}[201~\r")
        terminal.press("/save \(scratch.path)/nowhere/x\r")
        terminal.wait(for: "cannot be created")
        terminal.waitForPrompt()
        #expect(messages(terminal) == ["user: first"], "\(terminal.output)")
        terminal.press("/quit\r")
        #expect(terminal.end() == 0)
    }

    @Test func controlCStopsAnAnswerAndNotTheProgram() throws {
        let scratch = Scratch()
        let terminal = try conversation(scratch, tokens: 60000, "--ignore_eos", "true")
        terminal.press("go on\r")
        terminal.wait(for: "\u{1B}[?2004l")
        terminal.wait(for: "no such text", seconds: 1)
        terminal.press("\u{03}")
        #expect(terminal.wait(for: "tokens/s"), "\(terminal.output.suffix(300))")
        terminal.press("/quit\r")
        #expect(terminal.end() == 0)
        #expect(scratch.has("cache/infer_history"))
    }

    @Test func withoutATerminalLinesAreReadAsTheyCome() {
        let scratch = Scratch()
        _ = Program.run("martlet create Examples/facts/tiny-config.json --output_dir '\(scratch.path)/model'")
        let answered = Program.run(
            "echo hello | martlet infer --model '\(scratch.path)/model' --raw --max_new_tokens 2 --json")
        #expect(answered.status == 0 && answered.text.contains("\"finish_reason\""), "\(answered.text)")
        #expect(!answered.text.contains("\u{1B}"))
    }
}
