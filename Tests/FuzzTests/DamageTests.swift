import FuzzKit
import Glibc
import Graph
import Host
import Testing

/// Damaged inputs of each kind in every run of the tests; `fuzz` reads many more under the address sanitizer.
@Suite(.serialized) struct DamageTests {
    private static let tests = "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/")

    @Test(arguments: FuzzTarget.all.map(\.name)) func damagedInputsEndWithinASecond(target: String) throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        let target = try #require(FuzzTarget.all.first { $0.name == target })
        let directory = "/tmp/martlet-damage-\(getpid())"
        let place = try FuzzPlace(Registry(.standard()), directory: directory)
        defer { place.remove() }
        let corpus = try target.corpus(below: Self.tests)
        try #require(!corpus.isEmpty)
        // What broke something once stands among the seeds; some are whole.
        let whole = corpus.filter { (try? target.run($0, place)) != nil }
        #expect(!whole.isEmpty)
        var mutator = Mutator(seed: 7)
        var refused = 0
        for _ in 0..<150 {
            let input = target.input(corpus, &mutator)
            let start = seconds()
            if (try? target.run(input, place)) == nil { refused += 1 }
            #expect(seconds() - start < 1)
        }
        #expect(refused > 0)
    }

    @Test func theSameSeedGivesTheSameDamage() {
        var (one, two, three) = (Mutator(seed: 3), Mutator(seed: 3), Mutator(seed: 4))
        let bytes = Array("{\"a\":[1,2,{\"b\":null}],\"c\":\"text\"}".utf8)
        let first = (0..<20).map { _ in one.damageJSON(bytes, with: bytes) }
        #expect(first == (0..<20).map { _ in two.damageJSON(bytes, with: bytes) })
        #expect(first != (0..<20).map { _ in three.damageJSON(bytes, with: bytes) })
        #expect(!first.contains(bytes))
    }

    /// Of this thread: other tests run beside.
    private func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
