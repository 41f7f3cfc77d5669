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
        try CPUMemory(size: size, hugeFrom: 32 << 20)
    }

    func memory(device: Int) -> (used: Int, total: Int) {
        (CPUMemory.allocated.load(ordering: .relaxed), Self.totalMemory)
    }

    func weightSize(layout: String, shape: [Int]) -> Int { CPUWeight.size(layout: layout, shape: shape) ?? 0 }

    func importWeight(device: Int, _ source: WeightSource) throws -> DeviceMemory {
        try CPUWeight.make(source, pool: Self.pool)
    }

    func supports(_ step: ScheduledStep) -> Bool { CPUProgram.builders[step.op] != nil }

    func scratch(_ step: ScheduledStep) -> Int { CPUProgram.builders[step.op]?.scratch(step, Self.pool) ?? 0 }

    func compile(device: Int, _ steps: [ScheduledStep]) throws -> any DeviceProgram { try CPUProgram(steps) }
}

/// Zeroed memory: in 2 MiB pages when it is large. Weights are read whole, and gain by them from the first MiB; a cache may
/// never be filled, and each page that is touched is cleared whole.
class CPUMemory: DeviceMemory {
    /// Bytes that all of them hold.
    static let allocated = Atomic<Int>(0)
    private let form: Form
    private enum Form { case heap, pages, huge }

    init(size: Int, hugeFrom: Int = 1 << 20) throws {
        form = size >= hugeFrom ? .huge : size >= 1 << 20 ? .pages : .heap
        var memory: UnsafeMutableRawPointer?
        // No processor has 2^46 bytes: a larger size is an overflow of the caller's.
        if size >= 0, size < 1 << 46 {
            switch form {
            case .huge: memory = mk_huge_alloc(size)
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
        super.init(address: memory, size: size)
        Self.allocated.wrappingAdd(size, ordering: .relaxed)
    }

    deinit {
        Self.allocated.wrappingSubtract(size, ordering: .relaxed)
        switch form {
        case .huge: mk_huge_free(address, size)
        case .pages: if let address { munmap(address, size) }
        case .heap: free(address)
        }
    }
}
