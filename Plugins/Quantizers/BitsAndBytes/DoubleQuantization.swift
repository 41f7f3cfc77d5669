import PluginKit

/// The second quantization: the blocks' largest values, less their mean, in blocks of 256 as 8-bit codes of a dynamic map
/// (Dettmers et al. 2022, 2110.02861, section 2.1).
enum DoubleQuantization {
    static let block = 256

    /// 256 values in order: fractions of a growing number of bits under exponents from 10⁻⁷ to 1, both signs, with 0 and 1.
    static let map: [Float] = {
        var values: [Float] = [0, 1]
        for exponent in 0..<7 {
            // 2^exponent fractions: the middles of equal parts of 0.1 ... 1.
            let parts = 1 << exponent
            let scale = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1][exponent]
            let borders = linspace(parts + 1)
            for i in 0..<parts {
                let middle = (borders[i] + borders[i + 1]) / 2
                values += [Float(scale * Double(middle)), Float(-scale * Double(middle))]
            }
        }
        return values.sorted()
    }()

    /// `count` numbers from 0.1 to 1 in f32, from both ends to the middle as torch.linspace gives them.
    private static func linspace(_ count: Int) -> [Float] {
        let (start, end) = (Float(0.1), Float(1))
        let step = (end - start) / Float(count - 1)
        return (0..<count).map { $0 < count / 2 ? start + step * Float($0) : end - step * Float(count - 1 - $0) }
    }

    /// What the scales become when they are written and read back.
    static func roundTrip(_ scales: inout [Float]) {
        guard !scales.isEmpty else { return }
        let mean = pairwiseSum(scales[...]) / Float(scales.count)
        for start in stride(from: 0, to: scales.count, by: block) {
            let range = start..<min(scales.count, start + block)
            var largest: Float = 0
            for i in range { largest = max(largest, (scales[i] - mean).magnitude) }
            for i in range {
                scales[i] = map[Int(code((scales[i] - mean) / (largest == 0 ? 1 : largest)))] * largest + mean
            }
        }
    }

    /// The number of the map's value nearest to `x`.
    static func code(_ x: Float) -> UInt8 {
        var (low, high) = (0, 255)
        while high - low > 1 {
            let middle = (low + high) / 2
            if map[middle] <= x { low = middle } else { high = middle }
        }
        return UInt8(x - map[low] > map[high] - x ? high : low)
    }

    /// Halves are summed apart, so that the error stays small for millions of numbers.
    private static func pairwiseSum(_ values: ArraySlice<Float>) -> Float {
        if values.count <= 128 { return values.reduce(0, +) }
        let middle = values.startIndex + values.count / 2
        return pairwiseSum(values[..<middle]) + pairwiseSum(values[middle...])
    }
}
