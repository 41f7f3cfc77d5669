import Graph
import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    static let device = kindCase(
        "device", MT_KIND_DEVICE,
        claim: "memory keeps what was written, and every op that is supported gives what its reference gives"
    ) { component, _ in
        let table = component.table(mt_device_table())
        guard let found = try Ask.json("enumerate", { table.enumerate(component.context, $0, $1) })?.array else {
            throw Breach("enumerate gave no list")
        }
        if found.isEmpty { throw Skip(reason: "this machine has no such device") }
        let device = try Device(component: component.raw)
        let written = (0..<1000).map { Float($0) * 0.5 }
        let buffer = try device.upload(written)
        guard try buffer.read(Float.self, count: 1000) == written else {
            throw Breach("memory gave back other numbers than were written")
        }
        guard try device.allocate(4096).read(UInt8.self, count: 4096).allSatisfy({ $0 == 0 }) else {
            throw Breach("new memory is not zeroed")
        }
        var raw: OpaquePointer?
        try Ask.demand("allocate") { table.allocate(component.context, 0, 4000, &raw, $0) }
        defer { table.release(component.context, raw) }
        try Ask.refusal("an upload past a buffer's end") { error in
            try Borrowed.lend([1, 2, 3]) { table.upload(component.context, raw, 3998, $0, error) }
        }
        var supported = 0
        for op in DeviceOp.all where try op.agrees(on: device) { supported += 1 }
        if supported == 0 { throw Breach("none of the \(DeviceOp.all.count) ops of the suite is supported") }
    }
}

/// One op over random inputs.
private struct DeviceOp: Sendable {
    let name: String
    let shapes: [[Int]]
    var integers: [Int: [Double]] = [:]
    var attributes: [(String, AttributeValue)] = []

    static let all: [DeviceOp] =
        ["add", "sub", "mul", "div", "max", "min"].map { DeviceOp(name: $0, shapes: [[7, 19], [7, 19]]) }
        + [DeviceOp(name: "add", shapes: [[7, 19], [19]]), DeviceOp(name: "mul", shapes: [[7, 19], [7, 1]])]
        + ["neg", "exp", "tanh", "sigmoid", "silu", "gelu", "square"].map { DeviceOp(name: $0, shapes: [[5, 33]]) }
        + [
            DeviceOp(name: "scale", shapes: [[5, 33]], attributes: [("factor", .float(0.3))]),
            DeviceOp(name: "sum", shapes: [[5, 33]], attributes: [("axes", .ints([1]))]),
            DeviceOp(name: "mean", shapes: [[5, 33]], attributes: [("axes", .ints([0]))]),
            DeviceOp(name: "softmax", shapes: [[5, 33]]), DeviceOp(name: "log_softmax", shapes: [[5, 33]]),
            DeviceOp(name: "rms_norm", shapes: [[5, 48], [48]], attributes: [("eps", .float(1e-5))]),
            DeviceOp(name: "layer_norm", shapes: [[5, 48], [48], [48]], attributes: [("eps", .float(1e-5))]),
            DeviceOp(name: "matmul", shapes: [[5, 24], [24, 17]]),
            DeviceOp(name: "matmul", shapes: [[5, 24], [17, 24]], attributes: [("transpose_b", .bool(true))]),
            DeviceOp(name: "transpose", shapes: [[4, 5, 6]], attributes: [("permutation", .ints([2, 0, 1]))]),
            DeviceOp(name: "concat", shapes: [[4, 5], [4, 3]], attributes: [("axis", .int(1))]),
            DeviceOp(
                name: "slice", shapes: [[6, 8]], attributes: [("axis", .int(1)), ("start", .int(2)), ("end", .int(7))]),
            DeviceOp(name: "embedding", shapes: [[9, 16], [5]], integers: [1: [3, 0, 8, -1, 3]]),
            DeviceOp(name: "rope", shapes: [[5, 3, 16], [5], [8]], integers: [1: [0, 1, 2, 70, 900]]),
            DeviceOp(
                name: "attention", shapes: [[7, 4, 8], [7, 2, 8], [7, 2, 8], [3], [3]],
                integers: [3: [0, 4, 7], 4: [0, 4, 7]],
                attributes: [
                    ("layer", .int(0)), ("scale", .float(0.35)), ("causal", .bool(true)), ("window", .int(0)),
                    ("softcap", .float(0)),
                ]),
        ]

    /// False when the device does not support the op.
    func agrees(on device: Device) throws -> Bool {
        var bench = Bench()
        let inputs = shapes.enumerated().map { i, shape in
            integers[i].map { bench.input("i\(i)", shape, $0, .i32) }
                ?? bench.input("x\(i)", shape, centre: name == "div" && i == 1 ? 3 : 0)
        }
        let output = try bench.graph.emit(name, inputs, attributes)[0]
        let made = Result { () throws(GraphError) in
            try Program(bench.graph, outputs: [output], device: device, arena: SharedArena(device: device))
        }
        if case .failure(let error) = made, error.code == .unsupported { return false }
        let program = try made.get()
        var buffers: [Value: DeviceBuffer] = [:]
        for value in inputs {
            let numbers = bench.numbers[value] ?? []
            buffers[value] =
                bench.graph.type(value).element == .i32
                ? try device.upload(numbers.map { Int32($0) }) : try device.upload(numbers.map { Float($0) })
        }
        try program.run { buffers[$0] }
        let found = try program.read(output, as: Float.self).map { Double($0) }
        let wanted = try bench.values([output])[0]
        let shapes = shapes.map { "\($0)" }.joined(separator: ", ")
        try Numbers.agree("\(name)(\(shapes)) and its reference", found, wanted, tolerance: 1e-4)
        return true
    }
}
