import Glibc
internal import JSON
internal import Model

/// How far a run is, after a step.
package struct RunProgress: Sendable {
    package var step: Int
    /// About: data that is packed or rejected decides the true number.
    package var plannedSteps: Int
    package var record: Trainer.Record
    /// Since this session began.
    package var seconds: Double
    package var sessionSteps: Int
    /// Of the machine's measured rate of multiply-adds.
    package var peakShare: Double?

    package var tokensPerSecond: Double { Double(record.tokens) / max(1e-9, record.seconds) }
    /// Seconds to the end at the pace so far; nil once the planned steps are done.
    package var secondsLeft: Double? {
        let left = plannedSteps - step
        return left < 0 || sessionSteps == 0 ? nil : seconds / Double(sessionSteps) * Double(left)
    }
}

/// The steps since the last line of the log.
struct RecentSteps {
    private(set) var last: Trainer.Record?
    private var loss = 0.0
    private var norm = 0.0
    private var tokens = 0
    private var seconds = 0.0
    private var count = 0
    private var metrics: [String: Double] = [:]

    mutating func add(_ record: Trainer.Record) {
        last = record
        count += 1
        loss += record.loss
        norm += record.gradientNorm
        tokens += record.tokens
        seconds += record.seconds
        for (name, value) in record.metrics { metrics[name, default: 0] += value }
    }

    /// Means over the steps, under the names that transformers and ms-swift log.
    /// - Parameter peakShare: Of tokens in seconds.
    func summary(_ state: TrainerState, peakShare: (Int, Double) -> Double?) -> JSON {
        let n = Double(max(1, count))
        var line = JSONObject([
            ("step", .int(Int64(state.step))), ("epoch", .double(Double(state.epoch) + state.epochShare)),
            ("loss", .double(loss / n)), ("grad_norm", .double(norm / n)),
            ("learning_rate", .double(last?.learningRate ?? 0)),
        ])
        for (name, value) in metrics.sorted(by: { $0.key < $1.key }) { line[name] = .double(value / n) }
        line["tokens"] = .int(Int64(tokens))
        line["tokens_per_second"] = .double(Double(tokens) / max(1e-9, seconds))
        if let share = peakShare(tokens, seconds) { line["peak_share"] = .double(share) }
        line["seconds"] = .double(seconds)
        line["memory_gib"] = .double(ProcessMemory.resident / 1_073_741_824)
        return .object(line)
    }
}

/// What the system says of this process's memory.
package enum ProcessMemory {
    /// Bytes resident now.
    package static var resident: Double { field("VmRSS:") }
    /// Most bytes that were ever resident.
    package static var peak: Double { field("VmHWM:") }

    private static func field(_ name: String) -> Double {
        guard let file = fopen("/proc/self/status", "re") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = line.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
            guard text.hasPrefix(name) else { continue }
            return (Double(text.filter(\.isNumber)) ?? 0) * 1024
        }
        return 0
    }
}
