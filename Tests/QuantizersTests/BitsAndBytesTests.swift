import Host
import JSON
import Model
import PluginKit
import QuantizersBitsAndBytes
import Testing

/// NF4 and FP4 against bitsandbytes; see Tests/Oracles/bitsandbytes_codes.py.
@Suite struct BitsAndBytesTests {
    private static let golden =
        #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
        + "/Goldens/quantized/bitsandbytes.safetensors"
    private let file: CheckpointHandle

    init() throws {
        file = try CheckpointHandle(path: Self.golden, components: Registry(try .standard()))
    }

    @Test(arguments: ["whole", "crossing", "short"], ["nf4", "fp4"])
    func codesAndScalesAreBitsandbytesOwn(shape: String, type: String) throws {
        let source = try floats("\(shape)/source")
        let entry = try #require(file.tensors["\(shape)/source"])
        for double in [false, true] {
            let quantizer = try BitsAndBytes(
                settings: ["bnb_4bit_quant_type": .string(type), "bnb_4bit_use_double_quant": .bool(double)])
            let plan = quantizer.plan(name: "w", shape: entry.shape)
            #expect(plan.layout?.hasPrefix("\(type):") == true)
            var out = [UInt8](repeating: 0, count: plan.bytes)
            try source.withUnsafeBufferPointer { source in
                try out.withUnsafeMutableBytes { out in
                    try quantizer.quantize(
                        "w", source, rows: entry.shape[0], columns: entry.shape[1], statistics: nil, to: out)
                }
            }
            let codes = try bytes("\(shape)/\(type)/codes")
            #expect(Array(out[..<codes.count]) == codes)
            let wanted = try floats("\(shape)/\(type)/\(double ? "absmax2" : "absmax")")
            let group = try #require(plan.layout?.split(separator: ":").last.flatMap { Int($0) })
            let scales = out.withUnsafeBytes { bytes in
                (0..<(out.count - codes.count) / 4).map {
                    bytes.loadUnaligned(fromByteOffset: codes.count + 4 * $0, as: Float.self)
                }
            }
            // Double quantization adds the mean of the scales back, and rounds at its magnitude.
            let rounding = 2e-7 * (scales.max() ?? 0)
            for (i, scale) in scales.enumerated() {
                #expect(abs(scale - wanted[i * group / 64]) <= rounding, "\(double) \(i)")
            }
        }
    }

    @Test func whatCannotBeHeldIsLeftAlone() throws {
        let quantizer = try BitsAndBytes(settings: [:])
        #expect(quantizer.plan(name: "w", shape: [4, 7]).layout == nil)
        #expect(quantizer.plan(name: "w", shape: [64]).layout == nil)
    }

    @Test(arguments: [["bits": 3], ["bnb_4bit_quant_type": "nf5"], ["blocksize": 60]] as [JSON])
    func unknownSettingsAreRefused(settings: JSON) {
        #expect(throws: PluginError.self) { try BitsAndBytes(settings: settings) }
    }

    @Test func numbersThatAreNotFiniteAreRefused() throws {
        let quantizer = try BitsAndBytes(settings: [:])
        var out = [UInt8](repeating: 0, count: quantizer.plan(name: "w", shape: [1, 64]).bytes)
        let weight = [Float](repeating: .infinity, count: 64)
        #expect(throws: PluginError.self) {
            try weight.withUnsafeBufferPointer { weight in
                try out.withUnsafeMutableBytes { out in
                    try quantizer.quantize("w", weight, rows: 1, columns: 64, statistics: nil, to: out)
                }
            }
        }
    }

    private func floats(_ name: String) throws -> [Float] { try file.floats(try #require(file.tensors[name])) }
    private func bytes(_ name: String) throws -> [UInt8] { Array(try file.bytes(of: try #require(file.tensors[name]))) }
}
