import Serving
import Testing

@Suite struct StopWordsTests {
    private func run(_ words: [String], _ pieces: [String]) -> (parts: [String], isStopped: Bool) {
        var stops = StopWords(words)
        var parts = pieces.map { stops.push($0) }
        parts.append(stops.finish())
        return (parts, stops.isStopped)
    }

    @Test func aWordInOnePieceEndsTheText() {
        let (parts, isStopped) = run(["END"], ["one END two", "three"])
        #expect(parts == ["one ", "", ""] && isStopped)
    }

    @Test func aWordOverSeveralPiecesIsHeldBackUntilItIsWhole() {
        let (parts, isStopped) = run(["<|end|>"], ["a<", "|en", "d|", ">b"])
        #expect(parts == ["a", "", "", "", ""] && isStopped)
    }

    @Test func whatOnlyLooksLikeAWordComesOut() {
        let (parts, isStopped) = run(["<|end|>"], ["a<|", "eND", "<"])
        #expect(parts == ["a", "<|eND", "", "<"] && !isStopped)
    }

    @Test func theFirstOfSeveralWordsCounts() {
        #expect(run(["cc", "bb"], ["a", "bbcc"]).parts.joined() == "a")
        #expect(run(["\n\n"], ["x\n", "y\n", "\nz"]).parts.joined() == "x\ny")
    }

    @Test func lettersOfSeveralBytesAreNotCut() {
        #expect(run(["é!"], ["caf", "é", "?"]).parts == ["caf", "", "é?", ""])
    }
}
