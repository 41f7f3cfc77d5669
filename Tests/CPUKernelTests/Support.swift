import CPUKernels
import Dispatch
import Glibc

/// A small generator with a seed, so that a failure repeats.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }
}

/// A pool of `threads` that hands out indices one by one, in whatever order the threads come.
func withPool<Result>(threads: Int, _ body: (UnsafePointer<mk_pool>) -> Result) -> Result {
    var count = threads
    return withUnsafeMutablePointer(to: &count) { context in
        var pool = mk_pool(
            ctx: UnsafeMutableRawPointer(context), threads: threads,
            parallel_for: { context, count, body, argument in
                guard let context, let body else { return }
                let threads = context.assumingMemoryBound(to: Int.self).pointee
                nonisolated(unsafe) let argument = argument
                DispatchQueue.concurrentPerform(iterations: threads) { thread in
                    for index in stride(from: thread, to: count, by: threads) { body(argument, index, thread) }
                }
            })
        return withUnsafePointer(to: &pool) { body($0) }
    }
}

/// Scratch of exactly the size asked for, with guard bytes behind it; false if they were overwritten.
func withScratch(_ bytes: Int, _ body: (UnsafeMutableRawPointer) -> Void) -> Bool {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes + 64, alignment: 8)
    defer { memory.deallocate() }
    memset(memory, 0x5a, bytes + 64)
    body(memory)
    return (bytes..<bytes + 64).allSatisfy { memory.load(fromByteOffset: $0, as: UInt8.self) == 0x5a }
}

/// Each level this processor has, set for the calling thread while `body` runs.
func atEachLevel(_ body: (mk_level) throws -> Void) rethrows {
    defer { mk_limit_level(MK_LEVEL_AVX512_DOT) }
    for level in [MK_LEVEL_PORTABLE, MK_LEVEL_AVX2, MK_LEVEL_AVX512, MK_LEVEL_AVX512_DOT]
    where mk_limit_level(level) == level {
        try body(level)
    }
}
