import Data
import Testing

/// A small generator for property tests (SplitMix64, Steele et al. 2014).
struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct PackingTests {
    @Test func everyItemStandsInOneBinAndNoBinOverflows() {
        var random = Random(state: 1)
        for _ in 0..<200 {
            let capacity = Int.random(in: 1...500, using: &random)
            let lengths = (0..<Int.random(in: 0...300, using: &random)).map { _ in
                Int.random(in: 1...capacity, using: &random)
            }
            for bins in [
                Packing.bestFit(lengths, capacity: capacity), Packing.sequential(lengths, capacity: capacity),
            ] {
                #expect(bins.flatMap { $0 }.sorted() == Array(lengths.indices))
                #expect(bins.allSatisfy { $0.reduce(0) { $0 + lengths[$1] } <= capacity })
            }
        }
    }

    @Test func bestFitStaysWithinElevenNinthsOfTheLowerBound() {
        var random = Random(state: 2)
        for _ in 0..<50 {
            let lengths = (0..<400).map { _ in Int.random(in: 1...1000, using: &random) }
            let bound = (lengths.reduce(0, +) + 999) / 1000
            let bins = Packing.bestFit(lengths, capacity: 1000).count
            #expect(bins * 9 <= bound * 11 + 6)
        }
    }

    @Test func anItemLongerThanABatchStandsAlone() {
        #expect(Packing.bestFit([5, 20, 5], capacity: 10) == [[0, 2], [1]])
        #expect(Packing.sequential([5, 20, 5], capacity: 10) == [[0], [1], [2]])
    }

    @Test func sequentialKeepsTheOrder() {
        #expect(Packing.sequential([4, 4, 4, 9, 1], capacity: 10) == [[0, 1], [2], [3, 4]])
    }
}

@Suite struct BatchTests {
    @Test func labelsAreTheNextTokensInsideEachSegment() {
        let batch = Batch([
            EncodedExample(sequences: [EncodedSequence(ids: [1, 2, 3, 4], weights: [0, 0, 1, 0.5])], row: 7),
            EncodedExample(sequences: [EncodedSequence(ids: [5, 6], weights: [1, 1], promptLength: 1)], row: 9),
        ])
        #expect(batch.ids == [1, 2, 3, 4, 5, 6])
        #expect(batch.positions == [0, 1, 2, 3, 0, 1])
        #expect(batch.segments == [0, 4, 6])
        #expect(batch.labels == [-100, 3, 4, -100, 6, -100])
        #expect(batch.weights == [0, 1, 0.5, 0, 1, 0])
        #expect(batch.sequences == [0, 0, 0, 0, 1, 1])
        #expect(batch.rows.map(\.row) == [7, 9])
        #expect(batch.trainedTokens == 3)
    }

    @Test func theTwoOfAPairStandSideBySide() {
        let pair = EncodedExample(
            .pair,
            sequences: [
                EncodedSequence(ids: [1, 2], weights: [0, 1]), EncodedSequence(ids: [1, 3, 4], weights: [0, 1, 1]),
            ], margin: 0.5)
        let batch = Batch([pair, pair])
        #expect(batch.rows.map(\.role) == [.chosen, .rejected, .chosen, .rejected])
        #expect(batch.segments == [0, 2, 5, 7, 10])
        #expect(batch.rows[2].margin == 0.5)
    }

    @Test func paddingIsASequenceOfItsOwnThatIsNotTrained() {
        let one = EncodedExample(sequences: [EncodedSequence(ids: [1, 2], weights: [0, 1])])
        let batch = Batch([one]).padded(toTokens: 5, padID: 0)
        #expect(batch.tokenCount == 5)
        #expect(batch.segments == [0, 2, 5])
        #expect(batch.labels == [2, -100, -100, -100, -100])
        #expect(batch.rows.last?.role == .padding)
        #expect(Batch([one]).padded(toTokens: 1, padID: 0) == Batch([one]))
    }
}
