import Glibc
import PluginKit
import Testing

import Graph

/// Weights in every layout that Documentation/Layouts.md names, through the ops that read them in place, against products with
/// values that were decoded apart from the device.
@Suite struct LayoutTests {
    /// A weight's bytes as it is imported, and its values.
    struct Stored: Sendable {
        let layout: String
        let rows, columns: Int
        var bytes: [UInt8]
        var values: [Double]
    }

    static let blocks = [
        "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "mxfp4",
    ]
    static let grouped = [
        "affine2:32", "affine3:20", "affine4:128", "affine5:64", "affine6:32", "affine8:64", "affine4:64:f16",
        "affine4:32:bf16:symmetric", "affine3:16:symmetric", "affine8:500", "nf4:64", "fp4:32", "nf4:32:bf16",
        "fp8:128:128", "fp8:5:24", "fp8:16:32:bf16",
    ]

    @Test(arguments: ["f32", "f16", "bf16"] + blocks + grouped) func productsReadTheLayoutInPlace(layout: String) throws
    {
        let stored = try Self.stored(layout, rows: 37, columns: 96)
        let (n, k) = (stored.rows, stored.columns)
        var random = Seeded(17)
        for tokens in [1, 5, 33] {
            let graph = Graph()
            let x = graph.input("x", ValueType([tokens, k]))
            let dy = graph.input("dy", ValueType([tokens, n]))
            let ids = graph.input("ids", ValueType([n], .i32))
            let w = try graph.parameter("w", [n, k])
            graph.setLayout(w, layout)
            let exact: [(String, AttributeValue)] = [("activation", .string("f32"))]
            let outputs = [
                try graph.emit("linear", [x, w], exact)[0], try graph.emit("linear_backward_input", [dy, w], exact)[0],
                try graph.emit("embedding", [w, ids])[0],
            ]
            let values = [x: random.numbers(tokens * k), dy: random.numbers(tokens * n), ids: (0..<n).map(Double.init)]
            let found = try Self.run(graph, outputs, values, w, stored, shape: [n, k])
            var reference = ReferenceRun(graph)
            for (value, elements) in values { reference.set(value, elements) }
            reference.set(w, stored.values)
            for (output, wanted) in zip(found, try reference.run(outputs)) {
                // Blocks reach from tiny to huge, and sums cancel: errors are held against the largest result.
                let largest = wanted.reduce(1) { max($0, abs($1)) }
                expectClose(
                    output.map { $0 / largest }, wanted.map { $0 / largest }, 2e-6, "\(layout), \(tokens) tokens")
            }
        }
    }

    @Test(arguments: ["bf16", "q4_0", "q6_k", "affine4:32", "affine3:20:symmetric", "nf4:32", "fp8:8:32"])
    func expertsReadTheLayoutInPlace(layout: String) throws {
        let experts = try (0..<3).map { try Self.stored(layout, rows: 16, columns: 96, seed: UInt64($0) + 1) }
        let (n, k) = (experts[0].rows, experts[0].columns)
        var random = Seeded(18)
        let rows = 11
        let graph = Graph()
        let x = graph.input("x", ValueType([rows, k]))
        let dy = graph.input("dy", ValueType([rows, n]))
        let expert = graph.input("expert", ValueType([rows], .i32))
        let w = try graph.parameter("w", [3, n, k])
        graph.setLayout(w, layout)
        let outputs = [
            try graph.emit("expert_linear", [x, expert, w])[0],
            try graph.emit("expert_linear_backward_input", [dy, expert, w])[0],
        ]
        let values = [
            x: random.numbers(rows * k), dy: random.numbers(rows * n),
            expert: (0..<rows).map { Double([0, 2, 1, 2, -1][$0 % 5]) },
        ]
        let whole = Stored(
            layout: layout, rows: 3 * n, columns: k, bytes: experts.flatMap(\.bytes), values: experts.flatMap(\.values))
        let found = try Self.run(graph, outputs, values, w, whole, shape: [3, n, k])
        var reference = ReferenceRun(graph)
        for (value, elements) in values { reference.set(value, elements) }
        reference.set(w, whole.values)
        // Experts multiply in bf16.
        for (output, wanted) in zip(found, try reference.run(outputs)) {
            let largest = wanted.reduce(1) { max($0, abs($1)) }
            expectClose(output.map { $0 / largest }, wanted.map { $0 / largest }, 1e-2, layout)
        }
    }

    @Test func anUnknownLayoutIsRefusedByName() throws {
        for layout in [
            "affine7:32", "affine4", "affine4:0", "affine4:32:symmetrical", "nf4:32:symmetric", "fp8:128", "nf4:-4",
            "fp8:1:2:3", ":", "nf4:99999999999999999999",
        ] {
            let failure = #expect(throws: GraphError.self) {
                _ = try Bench.shared.with(threads: 1) {
                    try Bench.shared.device("cpu").importWeight(name: "w", layout: layout, shape: [2, 64], parts: [])
                }
            }
            #expect(failure?.message.contains("\"\(layout)\"") == true, "\(String(describing: failure))")
        }
    }

    private static func run(
        _ graph: Graph, _ outputs: [Value], _ values: [Value: [Double]], _ w: Value, _ stored: Stored, shape: [Int]
    ) throws -> [[Double]] {
        try Bench.shared.with(threads: 2) {
            let device = try Bench.shared.device("cpu")
            let program = try Program(graph, outputs: outputs, device: device, arena: SharedArena(device: device))
            var buffers: [Value: DeviceBuffer] = [:]
            for (value, elements) in values { buffers[value] = try device.upload(elements, graph.type(value).element) }
            buffers[w] = try stored.bytes.withUnsafeBytes {
                try device.importWeight(name: "w", layout: stored.layout, shape: shape, parts: [$0])
            }
            try program.run { buffers[$0] }
            return try outputs.map { try program.read($0, as: Float.self).map(Double.init) }
        }
    }

    // MARK: Bytes and their values

    static func stored(_ layout: String, rows: Int, columns: Int, seed: UInt64 = 1) throws -> Stored {
        var random = Seeded(seed)
        if blocks.contains(layout) { return try golden(layout) }
        let parts = layout.split(separator: ":").map(String.init)
        if parts.count > 1 { return grouped(parts, rows, columns, &random) }
        let values = random.numbers(rows * columns)
        var stored = Stored(layout: layout, rows: rows, columns: columns, bytes: [], values: [])
        for value in values { stored.append(Float(value), as: layout) }
        return stored
    }

    /// Random blocks and their values by the gguf package; see Tests/Oracles/gguf_blocks.py.
    private static func golden(_ layout: String) throws -> Stored {
        let bytes = try Goldens.bytes("../CPUKernelTests/Goldens/\(layout).bin")
        func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * $1) } }
        let (columns, rows) = (Int(word(0)), Int(word(4)))
        let first = bytes.count - 4 * rows * columns
        let values = (0..<rows * columns).map { Double(Float(bitPattern: word(first + 4 * $0))) }
        return Stored(layout: layout, rows: rows, columns: columns, bytes: Array(bytes[8..<first]), values: values)
    }

    private static func grouped(_ parts: [String], _ rows: Int, _ columns: Int, _ random: inout Seeded) -> Stored {
        let numbers = parts.dropFirst().compactMap { Int($0) }
        let (groupRows, group) = (numbers.count == 2 ? numbers[0] : 1, numbers[numbers.count - 1])
        let scaleLayout = parts.first { $0 == "f16" || $0 == "bf16" } ?? "f32"
        let isAffine = parts[0].hasPrefix("affine")
        let bits = isAffine ? Int(parts[0].dropFirst(6)) ?? 0 : parts[0] == "fp8" ? 8 : 4
        var stored = Stored(
            layout: parts.joined(separator: ":"), rows: rows, columns: columns, bytes: [], values: [])
        let codes = (0..<rows * columns).map { _ in
            // 0x7f and 0xff are no numbers.
            parts[0] == "fp8" ? Int.random(in: 0..<127, using: &random) : Int.random(in: 0..<1 << bits, using: &random)
        }
        for row in 0..<rows {
            var line = [UInt8](repeating: 0, count: (columns * bits + 7) / 8)
            for column in 0..<columns {
                let code = codes[row * columns + column]
                // Tables have the even column in the high half; integers are a stream of bits, the lowest first.
                let first = isAffine || bits == 8 ? column * bits : (column ^ 1) * 4
                for bit in 0..<bits where code >> bit & 1 == 1 {
                    line[(first + bit) / 8] |= 1 << UInt8((first + bit) % 8)
                }
            }
            stored.bytes += line
        }
        if isAffine || parts[0] == "fp8" { while stored.bytes.count % 4 != 0 { stored.bytes.append(0) } }
        let across = (columns + group - 1) / group
        let count = (rows + groupRows - 1) / groupRows * across
        var scales = Stored(layout: "", rows: 0, columns: 0, bytes: [], values: [])
        for _ in 0..<count { scales.append(Float.random(in: 0.01...0.1, using: &random), as: scaleLayout) }
        var zeros = Stored(layout: "", rows: 0, columns: 0, bytes: [], values: [])
        if isAffine, !parts.contains("symmetric") {
            for _ in 0..<count { zeros.append(Float.random(in: 0...Float(1 << bits), using: &random), as: scaleLayout) }
        }
        stored.bytes += scales.bytes + zeros.bytes
        stored.values = codes.enumerated().map { i, code in
            let at = i / columns / groupRows * across + i % columns / group
            switch parts[0] {
            case "nf4": return Double(Codebook4.nf4[code]) * scales.values[at]
            case "fp4": return Double(Codebook4.fp4[code]) * scales.values[at]
            case "fp8": return eightBitFloat(code) * scales.values[at]
            default:
                return (Double(code) - (zeros.values.isEmpty ? Double(1 << (bits - 1)) : zeros.values[at]))
                    * scales.values[at]
            }
        }
        return stored
    }

    /// OCP E4M3 (OFP8 Formats, section 5.3): a sign, four bits of exponent with bias 7, three of mantissa.
    private static func eightBitFloat(_ code: Int) -> Double {
        let (exponent, mantissa) = (code >> 3 & 15, Double(code & 7) / 8)
        let size = exponent == 0 ? scalbn(mantissa, -6) : scalbn(1 + mantissa, exponent - 7)
        return code & 128 == 0 ? size : -size
    }
}

extension LayoutTests.Stored {
    /// Adds a number as the layout holds it.
    fileprivate mutating func append(_ value: Float, as layout: String) {
        switch layout {
        case "f16":
            let half = Float16(value)
            bytes += withUnsafeBytes(of: half.bitPattern, Array.init)
            values.append(Double(half))
        case "bf16":
            // Cut off: exact in either reading.
            let half = UInt16(value.bitPattern >> 16)
            bytes += withUnsafeBytes(of: half, Array.init)
            values.append(Double(Float(bitPattern: UInt32(half) << 16)))
        default:
            bytes += withUnsafeBytes(of: value, Array.init)
            values.append(Double(value))
        }
    }
}
