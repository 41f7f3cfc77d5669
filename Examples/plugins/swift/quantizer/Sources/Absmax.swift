import JSON
import PluginKit

/// GGUF's Q8_0: blocks of 32 weights of a row, an f16 scale (largest magnitude / 127) before 32 signed bytes.
struct Absmax: Quantizer {
    private static let block = 32

    init(settings: JSON) {}

    func plan(name: String, shape: [Int]) -> QuantizationPlan {
        guard shape.count == 2, shape[0] > 0, shape[1] > 0, shape[1] % Self.block == 0 else { return .leftAlone }
        // A step is at most a 127th of the largest of 32, and rounding loses a twelfth of its square.
        return QuantizationPlan(
            layout: "q8_0", bytes: shape[0] * shape[1] / Self.block * (2 + Self.block), maximumRelativeError: 0.001)
    }

    func quantize(
        _ name: String, _ weight: UnsafeBufferPointer<Float>, rows: Int, columns: Int,
        statistics: UnsafePointer<Float>?,
        to out: UnsafeMutableRawBufferPointer
    ) throws {
        for start in stride(from: 0, to: weight.count, by: Self.block) {
            let block = weight[start..<start + Self.block]
            let largest = block.reduce(0) { max($0, $1.magnitude) }
            guard block.allSatisfy(\.isFinite), largest < 127 * 65_504 else {
                throw PluginError(.invalid, "found a number beyond what a block can scale", at: name)
            }
            let scale = Float16(largest / 127)
            let inverse = scale == 0 ? 0 : 1 / Float(scale)
            let place = start / Self.block * (2 + Self.block)
            out.storeBytes(of: scale.bitPattern, toByteOffset: place, as: UInt16.self)
            for (i, value) in block.enumerated() {
                let code = Int8(clamping: Int((value * inverse).rounded()))
                out.storeBytes(of: code, toByteOffset: place + 2 + i, as: Int8.self)
            }
        }
    }
}
