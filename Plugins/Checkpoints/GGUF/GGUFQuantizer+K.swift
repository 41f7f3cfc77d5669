import PluginKit

/// Blocks of 256 elements with scales of 6 or 8 bits for their parts (ggml-quants.c, `block_q4_K` and its kin).
///
/// Scales and offsets of a part are fitted by weighted least squares over several roundings, as ggml's reference does
/// without an importance matrix, so that the error is the reference's.
extension GGUFQuantizer {
    static let superblock = 256

    /// 256 elements in 84 bytes: 16 scales and offsets in 4 bits, 2 bits an element, d and dmin in 16 bits.
    static func q2K(_ x: UnsafeBufferPointer<Float>, _ out: UnsafeMutableRawBufferPointer) {
        out.initializeMemory(as: UInt8.self, repeating: 0)
        let parts = sixteenths(x)
        let fits = parts.map { affineFit($0, weights: abs($0), top: 3, from: -0.5, trials: 15, isAbsolute: true) }
        let largest = fits.reduce(0) { max($0, $1.scale) }
        let deepest = fits.reduce(0) { max($0, $1.depth) }
        let d = HalfFloat.half(largest / 15), dmin = HalfFloat.half(deepest / 15)
        out.storeBytes(of: d, toByteOffset: 80, as: UInt16.self)
        out.storeBytes(of: dmin, toByteOffset: 82, as: UInt16.self)
        var levels = [UInt8](repeating: 0, count: 256)
        for part in 0..<16 {
            let scale = largest > 0 ? nearest(15 / largest * fits[part].scale) : 0
            let depth = deepest > 0 ? nearest(15 / deepest * fits[part].depth) : 0
            out[part] = UInt8(scale) | UInt8(depth) << 4
            let width = HalfFloat.float(d) * scale
            guard width != 0 else { continue }
            let steps = nearest((parts[part] + HalfFloat.float(dmin) * depth) / width)
                .clamped(lowerBound: .zero, upperBound: .init(repeating: 3))
            for i in 0..<16 { levels[16 * part + i] = UInt8(steps[i]) }
        }
        packPairs(levels, out, from: 16)
    }

    /// 256 elements in 110 bytes: a high bit and 2 low bits an element, 16 scales in 6 bits, d in 16 bits.
    static func q3K(_ x: UnsafeBufferPointer<Float>, _ out: UnsafeMutableRawBufferPointer) {
        out.initializeMemory(as: UInt8.self, repeating: 0)
        let parts = sixteenths(x)
        let scales = parts.map(threeBitScale)
        var extreme: Float = 0
        for scale in scales where scale.magnitude > extreme.magnitude { extreme = scale }
        // Steps of -4 in parts without a scale: they stand in the middle.
        var levels = [UInt8](repeating: 4, count: 256)
        if extreme != 0 {
            let inverse = -32 / extreme
            let d = HalfFloat.half(1 / inverse)
            out.storeBytes(of: d, toByteOffset: 108, as: UInt16.self)
            for part in 0..<16 {
                let scale = min(max(nearest(inverse * scales[part]), -32), 31)
                let bits = UInt8(Int(scale) + 32)
                out[96 + part % 8] |= (bits & 15) << (part < 8 ? 0 : 4)
                out[104 + part % 4] |= (bits >> 4) << UInt8(2 * (part / 4))
                let width = HalfFloat.float(d) * scale
                guard width != 0 else { continue }
                let steps = nearest(parts[part] / width)
                    .clamped(lowerBound: .init(repeating: -4), upperBound: .init(repeating: 3))
                for i in 0..<16 { levels[16 * part + i] = UInt8(Int(steps[i]) + 4) }
            }
        }
        for i in 0..<256 where levels[i] > 3 {
            out[i % 32] |= 1 << UInt8(i / 32)
            levels[i] -= 4
        }
        packPairs(levels, out, from: 32)
    }

    private static func sixteenths(_ x: UnsafeBufferPointer<Float>) -> [SIMD16<Float>] {
        (0..<16).map { part in SIMD16<Float>((0..<16).map { x[16 * part + $0] }) }
    }

    /// Two bits an element: those that are 32 apart share a byte.
    private static func packPairs(_ levels: [UInt8], _ out: UnsafeMutableRawBufferPointer, from start: Int) {
        for half in 0..<2 {
            for i in 0..<32 {
                out[start + 32 * half + i] = (0..<4).reduce(0) {
                    $0 | levels[128 * half + 32 * $1 + i] << UInt8(2 * $1)
                }
            }
        }
    }

    /// The scale of steps from -4 to 3 with the least squared error, weighted by the squares of the elements: from a plain
    /// rounding on, one element after the other takes the step that is better for all.
    private static func threeBitScale(_ x: SIMD16<Float>) -> Float {
        let largest = abs(x).max()
        guard largest >= 1e-15, largest.isFinite else { return 0 }
        let inverse = -4 / (x.max() == largest ? largest : -largest)
        var steps = nearest(inverse * x).clamped(lowerBound: .init(repeating: -4), upperBound: .init(repeating: 3))
        let weights = x * x
        var sumXL = (weights * x * steps).sum(), sumL2 = (weights * steps * steps).sum()
        for _ in 0..<5 {
            var hasChanged = false
            for i in 0..<16 {
                let restXL = sumXL - weights[i] * x[i] * steps[i]
                guard restXL > 0 else { continue }
                let restL2 = sumL2 - weights[i] * steps[i] * steps[i]
                let step = min(max(nearest(x[i] * restL2 / restXL), -4), 3)
                guard step != steps[i] else { continue }
                let otherXL = restXL + weights[i] * x[i] * step, otherL2 = restL2 + weights[i] * step * step
                guard otherL2 > 0, otherXL * otherXL * sumL2 > sumXL * sumXL * otherL2 else { continue }
                (steps[i], sumXL, sumL2, hasChanged) = (step, otherXL, otherL2, true)
            }
            if !hasChanged { break }
        }
        return sumL2 > 0 ? sumXL / sumL2 : 0
    }

    /// 256 elements in 144 bytes: d and dmin in 16 bits, 8 scales and 8 offsets in 6 bits, 4 bits an element.
    static func q4K(_ x: UnsafeBufferPointer<Float>, _ out: UnsafeMutableRawBufferPointer) {
        let steps = affineParts(x, top: 15, from: -1, trials: 20, out)
        for pair in 0..<4 {
            for i in 0..<32 { out[16 + 32 * pair + i] = steps[2 * pair][i] | steps[2 * pair + 1][i] << 4 }
        }
    }

    /// 256 elements in 176 bytes: as `q4K`, with the fifth bits in 32 bytes before the others.
    static func q5K(_ x: UnsafeBufferPointer<Float>, _ out: UnsafeMutableRawBufferPointer) {
        let steps = affineParts(x, top: 31, from: -0.5, trials: 15, out)
        for i in 0..<32 {
            out[16 + i] = (0..<8).reduce(0) { $0 | (steps[$1][i] >> 4) << UInt8($1) }
            for pair in 0..<4 {
                out[48 + 32 * pair + i] = steps[2 * pair][i] & 15 | steps[2 * pair + 1][i] << 4
            }
        }
    }

    /// 256 elements in 210 bytes: 4 low and 2 high bits an element, 16 scales in 8 bits, d in 16 bits.
    static func q6K(_ x: UnsafeBufferPointer<Float>, _ out: UnsafeMutableRawBufferPointer) {
        out.initializeMemory(as: UInt8.self, repeating: 0)
        let parts = sixteenths(x)
        let scales = parts.map(symmetricScale)
        var extreme: Float = 0
        for scale in scales where scale.magnitude > extreme.magnitude { extreme = scale }
        guard extreme.magnitude >= 1e-15 else { return }
        let inverse = -128 / extreme
        let d = HalfFloat.half(1 / inverse)
        out.storeBytes(of: d, toByteOffset: 208, as: UInt16.self)
        var levels = [UInt8](repeating: 0, count: 256)
        for part in 0..<16 {
            let scale = min(127, Int(nearest(inverse * scales[part])))
            out[192 + part] = UInt8(bitPattern: Int8(clamping: scale))
            let width = HalfFloat.float(d) * Float(scale)
            guard width != 0 else { continue }
            let steps = nearest(parts[part] / width).clamped(
                lowerBound: .init(repeating: -32), upperBound: .init(repeating: 31))
            for i in 0..<16 { levels[16 * part + i] = UInt8(Int(steps[i]) + 32) }
        }
        for half in 0..<2 {
            for i in 0..<32 {
                let four = (0..<4).map { levels[128 * half + 32 * $0 + i] }
                out[64 * half + i] = four[0] & 15 | four[2] << 4
                out[64 * half + 32 + i] = four[1] & 15 | four[3] << 4
                out[128 + 32 * half + i] =
                    four[0] >> 4 | (four[1] >> 4) << 2 | (four[2] >> 4) << 4 | (four[3] >> 4) << 6
            }
        }
    }

    /// Writes the header of 16 bytes and gives the steps, 0 to `top`, of each of the eight parts.
    private static func affineParts(
        _ x: UnsafeBufferPointer<Float>, top: Float, from first: Float, trials: Int,
        _ out: UnsafeMutableRawBufferPointer
    ) -> [SIMD32<UInt8>] {
        let parts = (0..<8).map { part in SIMD32<Float>((0..<32).map { x[32 * part + $0] }) }
        let fits = parts.map { x in
            let weights = SIMD32(repeating: ((x * x).sum() / 32).squareRoot()) + abs(x)
            return affineFit(x, weights: weights, top: top, from: first, trials: trials)
        }
        let largest = fits.reduce(0) { max($0, $1.scale) }
        let deepest = fits.reduce(0) { max($0, $1.depth) }
        out.initializeMemory(as: UInt8.self, repeating: 0)
        let d = HalfFloat.half(largest / 63), dmin = HalfFloat.half(deepest / 63)
        out.storeBytes(of: d, as: UInt16.self)
        out.storeBytes(of: dmin, toByteOffset: 2, as: UInt16.self)
        return (0..<8).map { part in
            let scale = largest > 0 ? min(63, UInt8(nearest(63 / largest * fits[part].scale))) : 0
            let depth = deepest > 0 ? min(63, UInt8(nearest(63 / deepest * fits[part].depth))) : 0
            // Parts 4 to 7 keep their low bits in bytes 8 to 11 and their two high bits over those of parts 0 to 3.
            if part < 4 {
                out[4 + part] |= scale
                out[8 + part] |= depth
            } else {
                out[8 + part] = scale & 15 | depth << 4
                out[part] |= (scale >> 4) << 6
                out[4 + part] |= (depth >> 4) << 6
            }
            let width = HalfFloat.float(d) * Float(scale)
            guard width != 0 else { return SIMD32(repeating: 0) }
            let shifted = (parts[part] + HalfFloat.float(dmin) * Float(depth)) / width
            let steps = nearest(shifted).clamped(lowerBound: .zero, upperBound: .init(repeating: top))
            return SIMD32<UInt8>(truncatingIfNeeded: SIMD32<Int32>(steps))
        }
    }

    /// scale and depth ≥ 0 such that scale · step - depth is close to x, large values counting more. Of the roundings to
    /// `top + first`, `top + first + 0.1`, … steps over the range, the one that leaves the least error after a linear fit.
    /// - Parameter isAbsolute: Errors count as they are, and not their squares.
    private static func affineFit<V: SIMD<Float>>(
        _ x: V, weights: V, top: Float, from first: Float, trials: Int, isAbsolute: Bool = false
    ) -> (scale: Float, depth: Float) {
        let low = min(0, x.min()), high = x.max()
        guard high > low, low.isFinite, high.isFinite else { return (0, low.isFinite ? -low : 0) }
        let sumW = weights.sum(), sumX = (weights * x).sum()
        var best = (scale: (high - low) / top, offset: low)
        // From the offset that is the best so far, which a later rounding may better again.
        func rounded(_ steps: Float) -> V {
            nearest(steps / (high - best.offset) * (x - best.offset))
                .clamped(lowerBound: .zero, upperBound: .init(repeating: top))
        }
        func error(_ steps: V, _ scale: Float, _ offset: Float) -> Float {
            let difference = scale * steps + offset - x
            return (weights * (isAbsolute ? abs(difference) : difference * difference)).sum()
        }
        var least = error(rounded(top), best.scale, best.offset)
        for trial in 0...trials {
            let steps = rounded(top + first + 0.1 * Float(trial))
            let weighted = weights * steps
            let sumL = weighted.sum(), sumL2 = (weighted * steps).sum(), sumXL = (weighted * x).sum()
            let determinant = sumW * sumL2 - sumL * sumL
            guard determinant > 0 else { continue }
            var scale = (sumW * sumXL - sumX * sumL) / determinant
            var offset = (sumL2 * sumX - sumL * sumXL) / determinant
            // The offset is stored as what is taken away: it cannot lift.
            if offset > 0 { (scale, offset) = (sumXL / sumL2, 0) }
            let found = error(steps, scale, offset)
            if found < least { (least, best) = (found, (scale, offset)) }
        }
        return (best.scale, -best.offset)
    }

    /// The scale of steps from -32 to 31 that leaves the least squared error, weighted by the squares of the elements.
    private static func symmetricScale(_ x: SIMD16<Float>) -> Float {
        let largest = abs(x).max()
        guard largest >= 1e-15, largest.isFinite else { return 0 }
        let extreme = x.max() == largest ? largest : -largest
        let weights = x * x
        var best: Float = 0, gain: Float = 0
        // No change first, so that another rounding is taken only where it is better.
        for trial in [0] + Array(-9 ... -1) + Array(1...9) {
            let steps = nearest(-(32 + 0.1 * Float(trial)) / extreme * x)
                .clamped(lowerBound: .init(repeating: -32), upperBound: .init(repeating: 31))
            let sumXL = (weights * x * steps).sum(), sumL2 = (weights * steps * steps).sum()
            if sumL2 > 0, trial == 0 || sumXL * sumXL > gain * sumL2 {
                best = sumXL / sumL2
                gain = best * sumXL
            }
        }
        return best
    }

    /// To the nearest whole number, halves to the even one; exact below 2^22, which all that is rounded here is.
    private static func nearest(_ value: Float) -> Float { value.rounded(.toNearestOrEven) }
    private static func nearest<V: SIMD<Float>>(_ values: V) -> V { values + 0x1.8p23 - 0x1.8p23 }

    private static func abs<V: SIMD<Float>>(_ values: V) -> V { values.replacing(with: -values, where: values .< 0) }
}
