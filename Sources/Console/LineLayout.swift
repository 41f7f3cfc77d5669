/// How a prompt and a text stand on a terminal of so many columns: what is written, and where the cursor goes.
package struct LineLayout {
    package private(set) var output = ""
    package private(set) var rows = 1
    package private(set) var cursor = (row: 0, column: 0)
    private var column = 0
    private let columns: Int

    /// Later lines are set in, so that they stand below the first one's text.
    package init(prompt: String, _ buffer: LineBuffer, columns: Int) {
        self.columns = max(4, columns)
        for character in prompt { put(character) }
        let indent = column < self.columns / 2 ? column : 0
        for (i, character) in buffer.characters.enumerated() {
            if i == buffer.cursor { mark() }
            if character == "\n" {
                breakLine()
                for _ in 0..<indent { put(" ") }
            } else {
                put(character)
            }
        }
        if buffer.cursor == buffer.characters.count { mark() }
        // A terminal that has written its last column stays there until more comes.
        if column == self.columns { breakLine() }
    }

    private mutating func mark() {
        cursor = column == columns ? (rows, 0) : (rows - 1, column)
    }

    private mutating func put(_ character: Character) {
        let width = Self.width(character)
        if column + width > columns { breakLine() }
        output.append(character)
        column += width
    }

    private mutating func breakLine() {
        output += "\r\n"
        rows += 1
        column = 0
    }

    /// Columns of a character, after Unicode's East Asian Width (UAX 11): wide scripts and emoji take two, marks none.
    package static func width(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: break
        }
        if character.unicodeScalars.contains(where: { $0.value == 0xFE0F }) || scalar.properties.isEmojiPresentation {
            return 2
        }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
