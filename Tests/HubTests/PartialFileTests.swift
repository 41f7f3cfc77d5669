import Foundation
import Hub
import Testing

@Suite struct PartialFileTests {
    /// The examples of FIPS 180-2.
    @Test func digestsAreThoseOfTheStandard() {
        #expect(sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test func rangesJoinAndTheirGapsAreKnown() throws {
        let directory = try TemporaryDirectory()
        let partial = try PartialFile(directory.path + "/x", identity: "a")
        for range in [10..<20, 30..<40, 15..<32, 50..<60] { try partial.note(range) }
        #expect(partial.ranges == [10..<40, 50..<60] && partial.count == 40)
        #expect(partial.missing(0..<70) == [0..<10, 40..<50, 60..<70])
    }

    /// A kill may leave any number of the journal's bytes: what is believed is then there, never more.
    @Test func aJournalCutAtAnyByteIsContinued() throws {
        let directory = try TemporaryDirectory()
        let stem = directory.path + "/x"
        do {
            let partial = try PartialFile(stem, identity: "a")
            try partial.reset(etag: "\"v1\"")
            try pattern(2000).withUnsafeBytes { try partial.write($0, at: 0) }
            for range in [0..<5, 100..<1000, 1500..<1503] { try partial.note(range) }
        }
        let journal = try directory.content(stem + ".journal")
        let data = try directory.content(stem + ".data")
        var counts: Set<Int> = []
        for cut in 0...journal.count {
            try Data(journal[..<cut]).write(to: URL(fileURLWithPath: stem + ".journal"))
            try Data(data).write(to: URL(fileURLWithPath: stem + ".data"))
            let partial = try PartialFile(stem, identity: "a")
            #expect(partial.ranges.allSatisfy { [0..<5, 100..<1000, 1500..<1503].contains($0) }, "cut at \(cut)")
            counts.insert(partial.count)
        }
        #expect(counts == [0, 5, 905, 908])
    }

    @Test func aJournalOfSomethingElseOrBeyondTheFileIsNotBelieved() throws {
        let directory = try TemporaryDirectory()
        let stem = directory.path + "/x"
        do {
            let partial = try PartialFile(stem, identity: "a")
            try [1, 2, 3].withUnsafeBytes { try partial.write($0, at: 0) }
            try partial.note(0..<3)
            try partial.note(3..<1_000_000)
        }
        #expect(try PartialFile(stem, identity: "a").ranges == [0..<3])
        #expect(try PartialFile(stem, identity: "b").ranges.isEmpty)
    }
}
