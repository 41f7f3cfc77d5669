import Glibc
import Synchronization
import Testing

import Threads

@Suite("ThreadPool")
struct ThreadPoolTests {
    @Test func everyIndexRunsOnceOnAThreadThatExists() {
        let pool = ThreadPool(count: 4)
        for count in [0, 1, 2, 3, 17, 1000, 20_000] {
            let hits = max(count, 1)
            let counts = UnsafeMutablePointer<Int32>.allocate(capacity: hits)
            counts.initialize(repeating: 0, count: hits)
            defer { counts.deallocate() }
            nonisolated(unsafe) let shared = counts
            pool.parallel(count) { index, thread in
                shared[index] += (0..<4 ~= thread) ? 1 : 1000
            }
            #expect((0..<count).allSatisfy { counts[$0] == 1 }, "\(count) indices")
        }
    }

    @Test func aLoopInsideALoopRunsOnTheCallingThread() {
        let pool = ThreadPool(count: 3)
        let total = Total()
        pool.parallel(8) { _, _ in pool.parallel(10) { _, _ in total.add(1) } }
        #expect(total.value == 80)
    }

    @Test func manyShortLoopsEnd() {
        let pool = ThreadPool(count: 3)
        let total = Total()
        for _ in 0..<5000 { pool.parallel(3) { _, _ in total.add(1) } }
        #expect(total.value == 15_000)
    }

    /// A longer loop right after a shorter one: a thread that is late for the shorter must not claim in the longer.
    @Test func longerLoopsAfterShorterOnesRunEachIndexOnce() {
        let pool = ThreadPool(count: 3)
        let longest = 64
        let counts = UnsafeMutablePointer<Int32>.allocate(capacity: longest)
        counts.initialize(repeating: 0, count: longest)
        defer { counts.deallocate() }
        nonisolated(unsafe) let shared = counts
        var wrong = 0
        for _ in 0..<200_000 {
            pool.parallel(2) { index, _ in shared[index] += 1 }
            pool.parallel(longest) { index, _ in shared[index] += 1 }
            for index in 0..<longest where counts[index] != (index < 2 ? 2 : 1) { wrong += 1 }
            counts.update(repeating: 0, count: longest)
        }
        #expect(wrong == 0)
    }

    /// Each thread begins with a part of its own: one that is kept busy must not keep the rest of its part waiting.
    @Test func partsOfABusyThreadAreDoneByOthers() {
        let pool = ThreadPool(count: 2)
        let total = Total()
        pool.parallel(64) { index, _ in
            // The first index of the first part ends when all others have run.
            if index == 0 { while total.value < 63 { sched_yield() } }
            total.add(1)
        }
        #expect(total.value == 64)
    }

    @Test func threadsThatWentToSleepAreWoken() {
        let pool = ThreadPool(count: 3)
        let total = Total()
        for _ in 0..<20 {
            usleep(3000)
            pool.parallel(7) { index, _ in
                if index == 6 { usleep(3000) }
                total.add(1)
            }
        }
        #expect(total.value == 140)
    }
}

/// A counter for many threads.
private final class Total: Sendable {
    private let sum = Atomic<Int>(0)
    func add(_ amount: Int) { sum.add(amount, ordering: .relaxed) }
    var value: Int { sum.load(ordering: .relaxed) }
}
