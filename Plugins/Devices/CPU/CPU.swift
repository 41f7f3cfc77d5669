import CPUKernels
import Glibc
import JSON
import PluginAPI
import PluginKit
import Synchronization

/// The processor's cores as a device. Kernels are C; this says which runs for which step.
final class CPU: DeviceBackend {
    init() {}

    /// The host's threads in the kernels' form; the calling thread alone when there are none.
    static var pool: mk_pool {
        var pool = mk_pool()
        pool.threads = 1
        if let threads = Host.service(MT_SERVICE_THREADS, as: mt_threads.self) {
            pool.ctx = threads.pointee.ctx
            pool.threads = threads.pointee.count?(threads.pointee.ctx) ?? 1
            pool.parallel_for = threads.pointee.parallel_for
        }
        return pool
    }

    private static var totalMemory: Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }

    func enumerate() -> JSON {
        [
            [
                "name": "processor", "memory": .int(Int64(Self.totalMemory)), "threads": .int(Int64(Self.pool.threads)),
                "features": [.string(String(cString: mk_level_name(mk_current_level())))],
            ]
        ]
    }

    func allocate(device: Int, size: Int) throws -> DeviceMemory {
        try CPUMemory(size: size)
    }

    func memory(device: Int) -> (used: Int, total: Int) {
        (CPUMemory.allocated.load(ordering: .relaxed), Self.totalMemory)
    }

    func weightSize(layout: String, shape: [Int]) -> Int { CPUWeight.size(layout: layout, shape: shape) ?? 0 }

    func importWeight(device: Int, _ source: WeightSource) throws -> DeviceMemory {
        try CPUWeight.make(source, pool: Self.pool)
    }

    func supports(_ step: ScheduledStep) -> Bool { CPUProgram.builders[step.op]?.accepts(step) ?? false }

    func scratch(_ step: ScheduledStep) -> Int { CPUProgram.builders[step.op]?.scratch(step, Self.pool) ?? 0 }

    func compile(device: Int, _ steps: [ScheduledStep]) throws -> any DeviceProgram { try CPUProgram(steps) }
}

/// Zeroed memory. Weights are read whole, and lie side by side in 2 MiB pages; other memory is in such pages only when it is large: a
/// cache may never be filled, and each page that is touched is cleared whole.
class CPUMemory: DeviceMemory {
    /// Bytes that all of them hold.
    static let allocated = Atomic<Int>(0)
    private let form: Form
    private enum Form {
        case heap, pages, huge
        case shared(WeightPages)
    }

    init(size: Int, isWeight: Bool = false) throws {
        var form: Form = size >= 32 << 20 || isWeight ? .huge : size >= 1 << 20 ? .pages : .heap
        var memory: UnsafeMutableRawPointer?
        // No processor has 2^46 bytes: a larger size is an overflow of the caller's.
        if size >= 0, size < 1 << 46 {
            switch form {
            case .huge where isWeight && size <= WeightPages.most:
                if let (pages, address) = WeightPages.take(size) {
                    form = .shared(pages)
                    memory = address
                }
            case .huge, .shared: memory = mk_huge_alloc(size)
            case .pages:
                let area = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                memory = area == MAP_FAILED ? nil : area
            case .heap:
                if posix_memalign(&memory, 64, max(64, size)) == 0 {
                    memory?.initializeMemory(as: UInt8.self, repeating: 0, count: size)
                }
            }
        }
        guard let memory else {
            throw PluginError(
                .outOfMemory,
                "no \(size) bytes of memory are left; use a smaller batch, a shorter length or a smaller model")
        }
        self.form = form
        super.init(address: memory, size: size)
        Self.allocated.wrappingAdd(size, ordering: .relaxed)
    }

    deinit {
        Self.allocated.wrappingSubtract(size, ordering: .relaxed)
        switch form {
        case .huge: mk_huge_free(address, size)
        case .pages: if let address { munmap(address, size) }
        case .heap: free(address)
        case .shared: break
        }
    }
}

/// A stretch of 2 MiB pages that weights share, so that none of them leaves the rest of a page empty; freed with its last weight.
private final class WeightPages: @unchecked Sendable {
    /// Larger weights have pages of their own.
    static let most = 16 << 20
    private static let size = 64 << 20
    private let start: UnsafeMutableRawPointer

    /// The stretch that is being filled, and how far it is.
    private struct Open {
        weak var pages: WeightPages?
        var used = 0
    }
    private static let open = Mutex(Open())

    private init(_ start: UnsafeMutableRawPointer) { self.start = start }

    deinit { mk_huge_free(start, Self.size) }

    /// Room for `bytes`, aligned to a cache line.
    static func take(_ bytes: Int) -> (WeightPages, UnsafeMutableRawPointer)? {
        open.withLock { open in
            let room = (max(1, bytes) + 63) / 64 * 64
            if let pages = open.pages, open.used + room <= size {
                open.used += room
                return (pages, pages.start + open.used - room)
            }
            guard let start = mk_huge_alloc(size) else { return nil }
            let pages = WeightPages(start)
            open = Open(pages: pages, used: room)
            return (pages, start)
        }
    }
}
