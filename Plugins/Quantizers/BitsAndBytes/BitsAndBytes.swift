import JSON
import PluginKit

/// The 4-bit formats of bitsandbytes (QLoRA, Dettmers et al. 2023, 2305.14314): blocks of 64 weights in the order of their
/// rows, each over the block's largest magnitude, as codes of a table of sixteen values.
///
/// What the device gets: codes, two a byte and the first in the high half, then f32 scales [rows, columns / group]. Blocks run
/// over the ends of rows, so that a group is the largest part of a row that no block border cuts.
package struct BitsAndBytes: Quantizer {
    private let type: String
    private let block: Int
    private let usesDoubleQuantization: Bool
    private var codebook: NearestCode { type == "nf4" ? .nf4 : .fp4 }

    package init(settings: JSON) throws {
        let read = ModelConfig(settings)
        type = settings["bnb_4bit_quant_type"]?.string ?? "nf4"
        block = try read.int("blocksize", default: 64)
        usesDoubleQuantization = try read.bool("bnb_4bit_use_double_quant", default: true)
        let bits = try read.int("bits", default: 4)
        guard bits == 4 else {
            throw PluginError(.unsupported, "found \(bits) bits, wanted 4", at: "quant_bits")
        }
        guard ["nf4", "fp4"].contains(type) else {
            throw PluginError(.invalid, "found \"\(type)\", wanted nf4 or fp4", at: "bnb_4bit_quant_type")
        }
        guard [32, 64, 128, 256, 512, 1024, 2048, 4096].contains(block) else {
            throw PluginError(.invalid, "found \(block), wanted a power of two from 32 to 4096", at: "blocksize")
        }
    }

    package func plan(name: String, shape: [Int]) -> QuantizationPlan {
        guard shape.count == 2, shape[0] > 0, shape[1] > 0, shape[1] % 2 == 0 else { return .leftAlone }
        let group = Self.commonDivisor(shape[1], block)
        // A normal distribution loses about a hundredth of its mean square in NF4, and 2 % in FP4.
        return QuantizationPlan(
            layout: "\(type):\(group)", bytes: shape[0] * shape[1] / 2 + 4 * shape[0] * (shape[1] / group),
            maximumRelativeError: 0.05)
    }

    package func quantize(
        _ name: String, _ weight: UnsafeBufferPointer<Float>, rows: Int, columns: Int,
        statistics: UnsafePointer<Float>?,
        to out: UnsafeMutableRawBufferPointer
    ) throws {
        let (scales, codes) = (Self.blockScales(weight, block), out)
        guard scales.allSatisfy(\.isFinite) else {
            throw PluginError(.invalid, "found a number that is not finite", at: name)
        }
        encode(weight, scales, to: codes)
        var kept = scales
        if usesDoubleQuantization { DoubleQuantization.roundTrip(&kept) }
        let group = Self.commonDivisor(columns, block)
        for i in 0..<weight.count / group {
            out.storeBytes(of: kept[i * group / block], toByteOffset: weight.count / 2 + 4 * i, as: Float.self)
        }
    }

    /// The largest magnitude of each block.
    private static func blockScales(_ weight: UnsafeBufferPointer<Float>, _ block: Int) -> [Float] {
        let blocks = (weight.count + block - 1) / block
        return [Float](unsafeUninitializedCapacity: blocks) { scales, count in
            let shared = Shared(weight: weight, scales: scales)
            inPieces(blocks) { range in
                for i in range {
                    var largest: Float = 0
                    for j in i * block..<min(shared.weight.count, (i + 1) * block) {
                        largest = max(largest, shared.weight[j].magnitude)
                    }
                    shared.scales[i] = largest
                }
            }
            count = blocks
        }
    }

    private func encode(_ weight: UnsafeBufferPointer<Float>, _ scales: [Float], to out: UnsafeMutableRawBufferPointer)
    {
        let (codebook, block) = (codebook, block)
        let target = SharedBytes(weight: weight, out: out)
        Self.inPieces(scales.count) { range in
            codebook.borders.withUnsafeBufferPointer { borders in
                codebook.order.withUnsafeBufferPointer { order in
                    guard let borders = borders.baseAddress, let order = order.baseAddress else { return }
                    for i in range {
                        let inverse = 1 / max(scales[i], 1e-38)
                        for j in stride(from: i * block, to: min(target.weight.count, (i + 1) * block), by: 2) {
                            let high = NearestCode.code(target.weight[j] * inverse, borders, order)
                            let low = NearestCode.code(target.weight[j + 1] * inverse, borders, order)
                            target.out[j / 2] = high << 4 | low
                        }
                    }
                }
            }
        }
    }

    /// Runs `body` over parts of 0 ..< count on the host's threads.
    private static func inPieces(_ count: Int, _ body: @escaping @Sendable (Range<Int>) -> Void) {
        let piece = 4096
        Host.parallel((count + piece - 1) / piece) { i in body(i * piece..<min(count, (i + 1) * piece)) }
    }

    private static func commonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : commonDivisor(b, a % b) }
}

/// Memory that several threads read, and write in parts of their own.
private struct Shared: @unchecked Sendable {
    let weight: UnsafeBufferPointer<Float>
    let scales: UnsafeMutableBufferPointer<Float>
}
private struct SharedBytes: @unchecked Sendable {
    let weight: UnsafeBufferPointer<Float>
    let out: UnsafeMutableRawBufferPointer
}
