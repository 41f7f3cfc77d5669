import Threads

internal import Ceilings
internal import Glibc
internal import Host

/// A limit of the machine that an op's rate is held against, measured in the same run.
package enum Ceiling: String, CaseIterable, Sendable {
    /// Bytes a second read from 2 MiB pages.
    case read
    /// Operations a second on registers alone; a multiply-add is two.
    case f32, bf16, int8

    package var unit: String { self == .read ? "GB/s" : "Gop/s" }

    private var kind: martlet_ceiling {
        switch self {
        case .read: return MARTLET_CEILING_READ
        case .f32: return MARTLET_CEILING_F32
        case .bf16: return MARTLET_CEILING_BF16
        case .int8: return MARTLET_CEILING_INT8
        }
    }

    /// One measurement on the host's threads, in 1e9 a second; nil where the processor has no such instructions.
    package func measure() -> Double? {
        var load = martlet_load()
        guard martlet_ceiling_load(kind, ThreadPool.shared.count, &load), let body = load.body else { return nil }
        let start = Clock.now
        ThreadPool.shared.parallelFor(load.count, body, load.argument)
        return load.work / (Clock.now - start) * 1e-9
    }
}

/// Seconds of a clock that only goes forward.
enum Clock {
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
    }
}
