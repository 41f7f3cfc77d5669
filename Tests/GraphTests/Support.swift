import Glibc
import Host
import JSON
import PluginAPI
import PluginKit
import Testing
import Threads

import Graph

/// A small generator with a seed, so that a failure repeats.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Numbers that f32 holds exactly, so that references and devices start from the same ones.
    mutating func numbers(_ count: Int, in range: ClosedRange<Double> = -1.5...1.5) -> [Double] {
        (0..<count).map { _ in Double(Float(Double.random(in: range, using: &self))) }
    }
}

/// The devices under test, behind a host whose number of threads the tests set.
final class Bench: @unchecked Sendable {
    static let shared = Bench()

    private let registry: Result<Registry, any Error>
    private let threads = LentThreads()
    private var mutex = pthread_mutex_t()

    private init() {
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
        pthread_mutex_init(&mutex, &attributes)
        let services = Services(log: Log(least: .error))
        services.register(MT_SERVICE_GRAPH, at: GraphService.table)
        services.register(MT_SERVICE_THREADS, threads.table)
        registry = Result { Registry(try .standard(), services: services) }
    }

    func device(_ id: String, fallback: Bool = true) throws -> Device {
        let registry = try registry.get()
        let processor =
            id == "cpu" || !fallback
            ? nil : try Device(component: registry.component(kind: MT_KIND_DEVICE, id: "cpu"))
        return try Device(component: registry.component(kind: MT_KIND_DEVICE, id: id), fallback: processor)
    }

    /// Runs `body` with that many threads lent; one at a time, because scratch is sized by their number.
    func with<Result>(threads count: Int, _ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(&mutex)
        defer { pthread_mutex_unlock(&mutex) }
        threads.count = count
        return try body()
    }

    /// The elements of `outputs` on a device.
    func run(
        _ graph: Graph, _ outputs: [Value], _ values: [Value: [Double]], on device: String = "cpu", threads: Int = 2,
        fuse: Bool = true
    ) throws -> [[Double]] {
        try with(threads: threads) {
            let device = try self.device(device)
            let program = try Program(
                graph, outputs: outputs, device: device, arena: SharedArena(device: device), fuse: fuse)
            var buffers: [Value: DeviceBuffer] = [:]
            for (value, elements) in values { buffers[value] = try device.upload(elements, graph.type(value).element) }
            try program.run { buffers[$0] }
            return try outputs.map { output in
                if graph.type(output).element == .i32 {
                    return try program.read(output, as: Int32.self).map(Double.init)
                }
                return try program.read(output, as: Float.self).map(Double.init)
            }
        }
    }
}

extension Device {
    func upload(_ elements: [Double], _ type: ElementType) throws -> DeviceBuffer {
        switch type {
        case .i32: return try upload(elements.map { Int32($0) })
        case .u32: return try upload(elements.map { UInt32($0) })
        default: return try upload(elements.map { Float($0) })
        }
    }
}

/// mt_threads with a count that can be changed.
private final class LentThreads: @unchecked Sendable {
    private var pools: [Int: ThreadPool] = [:]
    private var pool = ThreadPool(count: 1)
    var count: Int {
        get { pool.count }
        set {
            let chosen = pools[newValue] ?? ThreadPool(count: newValue)
            pools[newValue] = chosen
            pool = chosen
        }
    }

    var table: mt_threads {
        var table = mt_threads()
        table.struct_size = UInt32(MemoryLayout<mt_threads>.size)
        table.ctx = Unmanaged.passRetained(self).toOpaque()
        table.count = { context in
            context.map { Unmanaged<LentThreads>.fromOpaque($0).takeUnretainedValue().count } ?? 1
        }
        table.parallel_for = { context, count, body, argument in
            guard let context, let body else { return }
            Unmanaged<LentThreads>.fromOpaque(context).takeUnretainedValue().pool.parallelFor(count, body, argument)
        }
        return table
    }
}

/// The element furthest from what is wanted, in units of 1 + |wanted|, and where it is.
func worst(_ found: [Double], _ wanted: [Double]) -> (error: Double, at: Int) {
    guard found.count == wanted.count else { return (.infinity, -1) }
    var result = (error: 0.0, at: 0)
    for i in wanted.indices where found[i] != wanted[i] {
        let error = abs(found[i] - wanted[i]) / (1 + abs(wanted[i]))
        if !(error <= result.error) { result = (error.isNaN ? .infinity : error, i) }
    }
    return result
}

/// Notes an issue when an element of `found` is further from `wanted` than `tolerance`, in units of 1 + |wanted|.
func expectClose(
    _ found: [Double], _ wanted: [Double], _ tolerance: Double, _ what: @autoclosure () -> String,
    location: SourceLocation = #_sourceLocation
) {
    guard found.count == wanted.count else {
        Issue.record("\(what()): \(found.count) elements, wanted \(wanted.count)", sourceLocation: location)
        return
    }
    let (error, at) = worst(found, wanted)
    if !(error <= tolerance) {
        Issue.record("\(what()): element \(at) is \(found[at]), wanted \(wanted[at])", sourceLocation: location)
    }
}

enum Goldens {
    static let root = #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Goldens"

    static func json(_ path: String) throws -> JSON { try JSON(parsing: String(decoding: bytes(path), as: UTF8.self)) }

    static func bytes(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen("\(root)/\(path)", "rb"), "\(path) is missing")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
        return bytes
    }
}

/// The tensors of a safetensors file that holds f32 and i32 alone.
struct GoldenTensors {
    struct Tensor {
        let shape: [Int]
        let element: ElementType
        let values: [Double]
    }
    private(set) var tensors: [String: Tensor] = [:]

    init(_ path: String) throws {
        let bytes = try Goldens.bytes(path)
        let size = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSON(parsing: String(decoding: bytes[8..<8 + size], as: UTF8.self))
        for (name, entry) in try #require(header.object) where name != "__metadata__" {
            let shape = try #require(entry["shape"]?.array).compactMap(\.int)
            let range = try #require(entry["data_offsets"]?.array).compactMap(\.int)
            let isFloat = entry["dtype"]?.string == "F32"
            try #require(isFloat || entry["dtype"]?.string == "I32")
            let values = bytes[8 + size + range[0]..<8 + size + range[1]].withUnsafeBytes { raw -> [Double] in
                (0..<raw.count / 4).map { i -> Double in
                    if isFloat { return Double(raw.loadUnaligned(fromByteOffset: 4 * i, as: Float.self)) }
                    return Double(raw.loadUnaligned(fromByteOffset: 4 * i, as: Int32.self))
                }
            }
            tensors[name] = Tensor(shape: shape, element: isFloat ? .f32 : .i32, values: values)
        }
    }

    subscript(name: String) -> Tensor? { tensors[name] }
}

func exponential(_ x: Double) -> Double { exp(x) }
