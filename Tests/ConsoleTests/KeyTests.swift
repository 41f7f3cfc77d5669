import Testing

import Console

/// Bytes of a terminal as keys, in whatever pieces they come.
@Suite struct KeyTests {
    private func keys(_ pieces: String..., isOver: Bool = false) -> [Key] {
        var decoder = KeyDecoder()
        var found: [Key] = []
        for piece in pieces {
            decoder.feed(piece.utf8)
            while let key = decoder.next(isOver: isOver) { found.append(key) }
        }
        return found
    }

    @Test func lettersComeInWholeCharacters() {
        #expect(keys("ab") == [.text("ab")])
        var decoder = KeyDecoder()
        let bytes = Array("é鳥".utf8)
        decoder.feed(bytes[..<1])
        #expect(decoder.next() == nil && decoder.isWaiting)
        decoder.feed(bytes[1..<4])
        #expect(decoder.next() == .text("é") && decoder.next() == nil)
        decoder.feed(bytes[4...])
        #expect(decoder.next() == .text("鳥") && !decoder.isWaiting)
    }

    @Test(
        arguments: [
            ("\u{1B}[A", Key.up), ("\u{1B}OB", .down), ("\u{1B}[C", .right), ("\u{1B}[D", .left),
            ("\u{1B}[1;5D", .wordLeft),
            ("\u{1B}[1;3C", .wordRight), ("\u{1B}[H", .home), ("\u{1B}[4~", .end), ("\u{1B}[3~", .delete),
            ("\u{1B}f", .wordRight),
            ("\u{1B}\r", .newline), ("\u{1B}\u{7F}", .eraseWord), ("\r", .enter), ("\n", .enter),
            ("\u{7F}", .backspace),
            ("\u{03}", .interrupt), ("\u{04}", .endOfInput), ("\u{17}", .eraseWord), ("\u{1B}[15~", .ignored),
        ] as [(String, Key)])
    func aSequenceIsOneKeyHoweverItIsCut(bytes: String, key: Key) {
        #expect(keys(bytes) == [key])
        var decoder = KeyDecoder()
        var found: [Key] = []
        for byte in bytes.utf8 {
            decoder.feed([byte])
            while let key = decoder.next() { found.append(key) }
        }
        #expect(found == [key])
    }

    @Test func whatIsPastedComesAtOnceWithItsLineEnds() {
        #expect(keys("\u{1B}[200~one\ntwo", "\nthree\u{1B}[20", "1~x") == [.paste("one\ntwo\nthree"), .text("x")])
    }

    @Test func anEscapeAloneIsNoKeyOnceNothingFollows() {
        #expect(keys("\u{1B}").isEmpty)
        #expect(keys("\u{1B}", isOver: true) == [.ignored])
        #expect(keys("\u{1B}\u{1B}[A") == [.ignored, .up])
    }
}
