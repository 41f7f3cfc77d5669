import Glibc

/// Reads lines at a terminal, with the keys that people expect: arrows, history, words, paste.
package final class LineEditor {
    package enum Line: Equatable {
        case text(String)
        /// Ctrl-C: what was written is given up.
        case interrupted
        /// Ctrl-D on an empty line, or the terminal is gone.
        case end
    }

    private let input, output: Int32
    private let history: History
    /// What a beginning may be completed to.
    private let completions: (String) -> [String]
    private var keys = KeyDecoder()
    /// Row of the cursor below the prompt's first one, as it was shown last.
    private var shownRow = 0

    /// Whether both ends are a terminal that can be edited on.
    package static func isPossible(input: Int32 = 0, output: Int32 = 1) -> Bool {
        guard isatty(input) == 1, isatty(output) == 1 else { return false }
        return getenv("TERM").map { String(cString: $0) }.map { !$0.isEmpty && $0 != "dumb" } ?? false
    }

    package init(
        history: History, input: Int32 = 0, output: Int32 = 1, completions: @escaping (String) -> [String] = { _ in [] }
    ) {
        self.history = history
        self.input = input
        self.output = output
        self.completions = completions
    }

    /// Shows the prompt and reads a line, which may hold line ends.
    package func read(_ prompt: String) -> Line {
        var cooked = termios()
        guard tcgetattr(input, &cooked) == 0, setRaw(cooked) else { return .end }
        // Pasted text comes between marks, so that its line ends send nothing.
        write("\u{1B}[?2004h")
        defer {
            write("\u{1B}[?2004l")
            tcsetattr(input, TCSADRAIN, &cooked)
        }
        var buffer = LineBuffer()
        shownRow = 0
        show(prompt, buffer)
        while let key = nextKey() {
            switch key {
            case .enter:
                leave(prompt, &buffer)
                history.add(buffer.text)
                return .text(buffer.text)
            case .interrupt:
                leave(prompt, &buffer)
                return .interrupted
            case .endOfInput where buffer.isEmpty:
                leave(prompt, &buffer)
                return .end
            case .suspend:
                leave(prompt, &buffer)
                tcsetattr(input, TCSADRAIN, &cooked)
                raise(SIGTSTP)
                guard setRaw(cooked) else { return .end }
            case .clearScreen:
                write("\u{1B}[H\u{1B}[2J")
                shownRow = 0
            default: apply(key, to: &buffer)
            }
            show(prompt, buffer)
        }
        return .end
    }

    private func apply(_ key: Key, to buffer: inout LineBuffer) {
        switch key {
        case .text(let text): buffer.insert(text)
        case .paste(let text): buffer.insert(Self.plain(text))
        case .newline: buffer.insert("\n")
        case .tab: complete(&buffer)
        case .backspace: buffer.eraseBefore()
        case .delete, .endOfInput: buffer.eraseAfter()
        case .left: buffer.moveLeft()
        case .right: buffer.moveRight()
        case .home: buffer.moveToStart()
        case .end: buffer.moveToEnd()
        case .wordLeft: buffer.moveWordLeft()
        case .wordRight: buffer.moveWordRight()
        case .up: if !buffer.moveUp(), let text = history.previous(buffer.text) { buffer.set(text) }
        case .down: if !buffer.moveDown(), let text = history.next() { buffer.set(text) }
        case .eraseToStart: buffer.eraseToStart()
        case .eraseToEnd: buffer.eraseToEnd()
        case .eraseWord: buffer.eraseWord()
        case .eraseNextWord: buffer.eraseNextWord()
        case .insertErased: buffer.insertErased()
        case .transpose: buffer.transpose()
        case .enter, .interrupt, .suspend, .clearScreen, .ignored: break
        }
    }

    /// Completes as far as all candidates agree.
    private func complete(_ buffer: inout LineBuffer) {
        let found = completions(buffer.text)
        guard buffer.cursor == buffer.characters.count, var common = found.first else { return }
        for other in found {
            common = String(zip(common, other).prefix { $0 == $1 }.map(\.0))
        }
        if common.count > buffer.characters.count { buffer.set(common) }
    }

    /// Pasted text without what a terminal would take for a command.
    private static func plain(_ text: String) -> String {
        let lines = text.replacing("\r\n", with: "\n").replacing("\r", with: "\n").replacing("\t", with: "    ")
        return String(String.UnicodeScalarView(lines.unicodeScalars.filter { $0 == "\n" || $0.value >= 0x20 }))
    }

    // MARK: The terminal

    private func setRaw(_ cooked: termios) -> Bool {
        var raw = cooked
        raw.c_iflag &= ~tcflag_t(BRKINT | ICRNL | INPCK | ISTRIP | IXON)
        raw.c_lflag &= ~tcflag_t(ECHO | ICANON | IEXTEN | ISIG)
        withUnsafeMutableBytes(of: &raw.c_cc) {
            $0[Int(VMIN)] = 1
            $0[Int(VTIME)] = 0
        }
        return tcsetattr(input, TCSADRAIN, &raw) == 0
    }

    private func nextKey() -> Key? {
        while true {
            if let key = keys.next() { return key }
            if keys.isWaiting, !hasInput(milliseconds: 50), let key = keys.next(isOver: true) { return key }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = Glibc.read(input, &bytes, bytes.count)
            // A signal, such as one that says that the window has another size.
            if count < 0, errno == EINTR { return .ignored }
            guard count > 0 else { return nil }
            keys.feed(bytes[..<count])
        }
    }

    private func hasInput(milliseconds: Int32) -> Bool {
        var waiting = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) > 0
    }

    private var columns: Int {
        var size = winsize()
        return ioctl(output, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    private func show(_ prompt: String, _ buffer: LineBuffer) {
        let layout = LineLayout(prompt: prompt, buffer, columns: columns)
        var text = shownRow > 0 ? "\u{1B}[\(shownRow)A" : ""
        text += "\r\u{1B}[J" + layout.output
        let up = layout.rows - 1 - layout.cursor.row
        if up > 0 { text += "\u{1B}[\(up)A" }
        text += "\r" + (layout.cursor.column > 0 ? "\u{1B}[\(layout.cursor.column)C" : "")
        shownRow = layout.cursor.row
        write(text)
    }

    /// Leaves the text on the screen and goes to the line below it.
    private func leave(_ prompt: String, _ buffer: inout LineBuffer) {
        var whole = buffer
        while whole.moveDown() {}
        whole.moveToEnd()
        show(prompt, whole)
        write("\r\n")
        shownRow = 0
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.write(output, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
            sent += count
        }
    }
}
