import Glibc
import Testing

import Console

/// Editing a line, how it stands on the screen, and what was written before.
@Suite struct LineTests {
    @Test func lettersGoInAtTheCursor() {
        var line = LineBuffer("hello")
        line.moveToStart()
        line.insert("> ")
        line.moveToEnd()
        line.moveLeft()
        line.insert("p")
        #expect(line.text == "> hellpo" && line.cursor == 7)
        line.transpose()
        #expect(line.text == "> hellop")
        line.insert("e")
        line.insert("\u{301}")
        #expect(line.characters.count == 9 && line.text.hasSuffix("e\u{301}"))
    }

    @Test func wordsAndLinesAreErasedAndCanBePutBack() {
        var line = LineBuffer("one two, three")
        line.eraseWord()
        #expect(line.text == "one two, ")
        line.moveToStart()
        line.insertErased()
        #expect(line.text == "threeone two, ")
        line.moveWordRight()
        line.eraseToEnd()
        #expect(line.text == "threeone")
        line.moveWordLeft()
        line.eraseNextWord()
        #expect(line.isEmpty)
    }

    @Test func upAndDownKeepTheColumn() {
        var line = LineBuffer("first line\nab\nthird")
        let moved = line.moveUp()
        #expect(moved && line.cursor == 13)
        _ = line.moveUp()
        #expect(line.cursor == 2)
        let above = line.moveUp()
        #expect(!above)
        _ = line.moveDown()
        #expect(line.cursor == 13)
        line.eraseToStart()
        #expect(line.text == "first line\n\nthird")
    }

    @Test func aLongLineIsBrokenAtTheEdgeAndTheCursorIsWhereItBelongs() {
        var line = LineBuffer("abcdefgh")
        var layout = LineLayout(prompt: "> ", line, columns: 6)
        #expect(layout.output == "> abcd\r\nefgh" && layout.rows == 2 && layout.cursor == (1, 4))
        line.insert("ij")
        layout = LineLayout(prompt: "> ", line, columns: 6)
        #expect(layout.output == "> abcd\r\nefghij\r\n" && layout.cursor == (2, 0))
        line.moveToStart()
        layout = LineLayout(prompt: "> ", line, columns: 6)
        #expect(layout.cursor == (0, 2))
    }

    @Test func wideCharactersTakeTwoColumnsAndMarksNone() {
        #expect("a鳥é🐦e\u{301}\u{200B}".map(LineLayout.width) == [1, 2, 1, 2, 1, 0])
        #expect(LineLayout.width("👨‍👩‍👧") == 2 && LineLayout.width("\u{301}") == 0)
        let layout = LineLayout(prompt: "> ", LineBuffer("鳥鳥鳥"), columns: 7)
        #expect(layout.output == "> 鳥鳥\r\n鳥" && layout.cursor == (1, 2))
    }

    @Test func laterLinesStandBelowTheFirstOnesText() {
        let layout = LineLayout(prompt: "> ", LineBuffer("a\nb"), columns: 40)
        #expect(layout.output == "> a\r\n  b" && layout.rows == 2 && layout.cursor == (1, 3))
    }

    @Test func whatWasWrittenComesBackAndTheDraftIsNotLost() {
        let history = History()
        for line in ["one", "two", "two", ""] { history.add(line) }
        #expect(
            history.previous("draft") == "two" && history.previous("two") == "one" && history.previous("one") == nil)
        #expect(history.next() == "two" && history.next() == "draft" && history.next() == nil)
    }

    @Test func theHistoryIsKeptForTheUserAlone() throws {
        var template = Array("/tmp/martlet-history-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        let path = directory + "/history"
        defer {
            unlink(path)
            rmdir(directory)
        }
        History(path: path).add("two\nlines")
        let again = History(path: path)
        again.add("three")
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        let latest = History(path: path)
        #expect(latest.previous("") == "three" && latest.previous("") == "two\nlines")
    }
}
