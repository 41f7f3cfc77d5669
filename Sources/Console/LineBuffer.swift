/// The text that is being written, and where the cursor stands in it.
package struct LineBuffer: Equatable {
    package private(set) var characters: [Character] = []
    /// Characters before the cursor.
    package private(set) var cursor = 0
    private var erased: [Character] = []

    package init(_ text: String = "") { set(text) }

    package var text: String { String(characters) }
    package var isEmpty: Bool { characters.isEmpty }

    /// Another text, the cursor at its end.
    package mutating func set(_ text: String) {
        characters = Array(text)
        cursor = characters.count
    }

    package mutating func insert(_ text: String) {
        // A combining mark joins the character before it.
        let head = String(characters[..<cursor]) + text
        let tail = characters[cursor...]
        characters = Array(head)
        cursor = characters.count
        characters += tail
    }

    // MARK: Moving

    package mutating func moveLeft() { cursor = max(0, cursor - 1) }
    package mutating func moveRight() { cursor = min(characters.count, cursor + 1) }
    package mutating func moveToStart() { cursor = lineStart }
    package mutating func moveToEnd() { cursor = lineEnd }
    package mutating func moveWordLeft() { cursor = wordStart }
    package mutating func moveWordRight() { cursor = wordEnd }

    /// One line up, in the same column; false on the first line.
    package mutating func moveUp() -> Bool {
        guard lineStart > 0 else { return false }
        let column = cursor - lineStart
        cursor = lineStart - 1
        cursor = min(lineStart + column, cursor)
        return true
    }

    /// One line down, in the same column; false on the last line.
    package mutating func moveDown() -> Bool {
        guard lineEnd < characters.count else { return false }
        let column = cursor - lineStart
        cursor = lineEnd + 1
        cursor = min(cursor + column, lineEnd)
        return true
    }

    // MARK: Erasing

    package mutating func eraseBefore() {
        guard cursor > 0 else { return }
        cursor -= 1
        characters.remove(at: cursor)
    }

    package mutating func eraseAfter() {
        if cursor < characters.count { characters.remove(at: cursor) }
    }

    package mutating func eraseToStart() { erase(lineStart..<cursor) }
    package mutating func eraseToEnd() { erase(cursor..<lineEnd) }
    package mutating func eraseWord() { erase(wordStart..<cursor) }
    package mutating func eraseNextWord() { erase(cursor..<wordEnd) }
    package mutating func insertErased() { insert(String(erased)) }

    /// Exchanges the two characters around the cursor, and steps on.
    package mutating func transpose() {
        guard characters.count > 1, cursor > 0 else { return }
        let second = min(cursor, characters.count - 1)
        characters.swapAt(second - 1, second)
        cursor = second + 1
    }

    private mutating func erase(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        erased = Array(characters[range])
        characters.removeSubrange(range)
        cursor = range.lowerBound
    }

    // MARK: Places

    private var lineStart: Int { (characters[..<cursor].lastIndex(of: "\n") ?? -1) + 1 }
    private var lineEnd: Int { characters[cursor...].firstIndex(of: "\n") ?? characters.count }

    private func isWord(_ character: Character) -> Bool { character.isLetter || character.isNumber }

    private var wordStart: Int {
        var at = cursor
        while at > 0, !isWord(characters[at - 1]) { at -= 1 }
        while at > 0, isWord(characters[at - 1]) { at -= 1 }
        return at
    }

    private var wordEnd: Int {
        var at = cursor
        while at < characters.count, !isWord(characters[at]) { at += 1 }
        while at < characters.count, isWord(characters[at]) { at += 1 }
        return at
    }
}
