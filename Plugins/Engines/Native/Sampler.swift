import Glibc
import PluginKit

/// Chooses tokens from logits. What is left to choose from follows transformers' logits processors, in this order:
/// penalties, bias, temperature, top-k, top-p, min-p.
struct Sampler {
    struct Candidate: Equatable {
        let id: Int32
        /// Probability times a factor that all candidates share.
        let weight: Float
    }

    /// Makes what was said less or more likely.
    /// - Parameters:
    ///   - text: All tokens so far.
    ///   - counts: How often each was generated.
    static func adjust(
        _ logits: UnsafeMutableBufferPointer<Float>, _ settings: SamplingSettings, text: some Sequence<Int32>,
        counts: [Int32: Int]
    ) {
        if settings.repetitionPenalty != 1 {
            let penalty = Float(settings.repetitionPenalty)
            for id in Set(text) where logits.indices.contains(Int(id)) {
                logits[Int(id)] = logits[Int(id)] > 0 ? logits[Int(id)] / penalty : logits[Int(id)] * penalty
            }
        }
        if settings.countsTokens {
            for (id, count) in counts where logits.indices.contains(Int(id)) {
                logits[Int(id)] -= Float(settings.presencePenalty + settings.frequencyPenalty * Double(count))
            }
        }
        for (id, add) in settings.bias where logits.indices.contains(Int(id)) { logits[Int(id)] += add }
    }

    /// The likeliest token, the first among equals; nil when no logit is a number.
    static func likeliest(_ logits: UnsafeBufferPointer<Float>) -> Int32? {
        let count = (logits.count + piece - 1) / piece
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { maxima in
            // Vocabularies are large enough for all threads; each piece has a place of its own.
            nonisolated(unsafe) let (logits, maxima) = (logits, maxima)
            Host.parallel(count) { maxima.initializeElement(at: $0, to: maximum(part($0, of: logits))) }
            let largest = maxima.reduce(-Float.infinity) { $1 > $0 ? $1 : $0 }
            for index in maxima.indices where maxima[index] == largest {
                let values = part(index, of: logits)
                if let place = values.firstIndex(of: largest) { return Int32(index * piece + place) }
            }
            return nil
        }
    }

    /// Logits that a thread looks through at a time.
    private static let piece = 8192

    private static func part(_ index: Int, of logits: UnsafeBufferPointer<Float>) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(rebasing: logits[index * piece..<min((index + 1) * piece, logits.count)])
    }

    /// The candidates that are left, with their weights' sum; likeliest first when a truncation is on. Empty when the
    /// logits are no numbers.
    static func candidates(_ logits: UnsafeBufferPointer<Float>, _ settings: SamplingSettings) -> (
        list: [Candidate], total: Double
    ) {
        let largest = maximum(logits)
        guard largest.isFinite, settings.temperature > 0 else { return ([], 0) }
        let weights = UnsafeMutableBufferPointer<Float>.allocate(capacity: logits.count)
        defer { weights.deallocate() }
        let total = exponentials(logits, less: largest, times: Float(1 / settings.temperature), into: weights)
        guard total.isFinite else { return ([], 0) }
        if settings.topK == 0 && settings.topP >= 1 {
            let least = Float(settings.minP)
            let list = weights.indices.filter { weights[$0] >= least && weights[$0] > 0 }
                .map { Candidate(id: Int32($0), weight: weights[$0]) }
            return (list, list.reduce(0) { $0 + Double($1.weight) })
        }
        // Only the head of the distribution is sorted; further down only when that was not enough.
        for least: Float in [1e-3, 1e-6, 0] {
            var list = weights.indices.filter { weights[$0] >= least }.map {
                Candidate(id: Int32($0), weight: weights[$0])
            }
            let isWhole = list.count == weights.count
            guard isWhole || settings.topK == 0 || list.count > settings.topK else { continue }
            list.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.id < $1.id }
            var mass = total
            if settings.topK > 0, settings.topK < list.count {
                let last = list[settings.topK - 1].weight
                // Equals of the last one stay, as they do in transformers.
                list.removeSubrange((list.firstIndex { $0.weight < last } ?? list.count)...)
                mass = list.reduce(0) { $0 + Double($1.weight) }
            }
            if settings.topP < 1 {
                guard let kept = head(list, share: settings.topP * mass) else {
                    if isWhole || settings.topK > 0 { return (list, mass) }
                    continue
                }
                list.removeSubrange(kept...)
            }
            let floor = Float(settings.minP)
            list.removeAll { $0.weight < floor || $0.weight == 0 }
            return (list, list.reduce(0) { $0 + Double($1.weight) })
        }
        return ([], 0)
    }

    /// How many of the list, from its beginning, reach `share`; at least one. nil when all together do not.
    private static func head(_ list: [Candidate], share: Double) -> Int? {
        var sum = 0.0
        for (i, candidate) in list.enumerated() {
            sum += Double(candidate.weight)
            if sum >= share { return i + 1 }
        }
        return nil
    }

    /// Draws by a number in 0 ..< 1.
    static func draw(_ list: [Candidate], total: Double, _ number: Double) -> Int32? {
        var left = number * total
        for candidate in list {
            left -= Double(candidate.weight)
            if left < 0 { return candidate.id }
        }
        return list.last?.id
    }

    /// log Σ exp of the logits.
    static func logSum(_ logits: UnsafeBufferPointer<Float>) -> Double {
        let largest = maximum(logits)
        return Double(largest) + log(logits.reduce(0) { $0 + exp(Double($1 - largest)) })
    }

    /// The `count` likeliest tokens, likeliest first.
    static func top(_ logits: UnsafeBufferPointer<Float>, _ count: Int) -> [Int32] {
        guard count > 0 else { return [] }
        var best: [Int32] = []
        for i in logits.indices {
            if best.count == count, !(logits[i] > logits[Int(best[count - 1])]) { continue }
            let at = best.firstIndex { logits[Int($0)] < logits[i] } ?? best.count
            best.insert(Int32(i), at: at)
            if best.count > count { best.removeLast() }
        }
        return best
    }

    // MARK: Vectors

    private typealias Lanes = SIMD16<Float>

    private static func maximum(_ values: UnsafeBufferPointer<Float>) -> Float {
        let raw = UnsafeRawBufferPointer(values)
        var lanes = Lanes(repeating: -.infinity)
        let whole = values.count / 16 * 16
        for i in stride(from: 0, to: whole, by: 16) {
            let next = raw.loadUnaligned(fromByteOffset: 4 * i, as: Lanes.self)
            lanes.replace(with: next, where: next .> lanes)
        }
        return values[whole...].reduce(lanes.max()) { $1 > $0 ? $1 : $0 }
    }

    /// exp((x - less) · factor), and the sum. x - less is not positive.
    private static func exponentials(
        _ values: UnsafeBufferPointer<Float>, less: Float, times factor: Float,
        into out: UnsafeMutableBufferPointer<Float>
    ) -> Double {
        let raw = UnsafeRawBufferPointer(values)
        let whole = values.count / 16 * 16
        var total = 0.0
        for i in stride(from: 0, to: whole, by: 16) {
            let x = (raw.loadUnaligned(fromByteOffset: 4 * i, as: Lanes.self) - less) * factor
            let y = exponential(x)
            UnsafeMutableRawBufferPointer(out).storeBytes(of: y, toByteOffset: 4 * i, as: Lanes.self)
            total += Double(y.sum())
        }
        for i in whole..<values.count {
            out[i] = exp((values[i] - less) * factor)
            total += Double(out[i])
        }
        return total
    }

    /// exp of numbers that are not positive: 2ⁿ · eʳ with |r| ≤ ln 2 / 2, eʳ by its Taylor series to r⁷ (error 5e-9).
    private static func exponential(_ x: Lanes) -> Lanes {
        let clamped = x.replacing(with: -87, where: x .< -87)
        let n = (clamped * 1.442_695_04).rounded(.toNearestOrEven)
        let r = (clamped - n * 0.693_359_375) + n * 2.121_944_4e-4
        var sum = Lanes(repeating: 1 / 5040)
        for term: Float in [1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1, 1] { sum = sum * r + term }
        let power = unsafeBitCast((SIMD16<Int32>(truncatingIfNeeded: SIMD16<Int32>(n)) &+ 127) &<< 23, to: Lanes.self)
        return (sum * power).replacing(with: 0, where: x .< -87)
    }
}
