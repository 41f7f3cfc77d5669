import JSON
import Training

/// What a run shows: a line that is written over on a terminal, and plain lines for what is logged; or for programs
/// an object a line for what is logged, and one at the end.
final class ProgressDisplay {
    private let asJSON: Bool
    private var isLineOpen = false
    private var latest: RunProgress?

    init(asJSON: Bool) { self.asJSON = asJSON }

    /// A line for a reader.
    func say(_ text: String) { asJSON ? Terminal.note(text) : Terminal.line(text) }

    /// The last line for a program.
    func end(_ outcome: JSON) {
        if asJSON { Terminal.line(outcome.text()) }
    }

    func show(_ event: RunLog.Event) {
        switch event {
        case .progress(let progress):
            latest = progress
            guard Terminal.isInteractive, !asJSON else { return }
            Terminal.write("\r\u{1B}[K\(line(progress))")
            isLineOpen = true
        case .record(let record):
            closeLine()
            if asJSON {
                Terminal.line(record.text())
            } else if let loss = record["eval_loss"]?.double {
                Terminal.line("evaluation loss \(Self.number(loss))\(extras(record, "eval_"))\(when(record))")
            } else if let latest, record["loss"] != nil {
                Terminal.line(line(latest, record))
            }
        case .note(let text):
            closeLine()
            Terminal.error(text)
        }
    }

    private func closeLine() {
        if isLineOpen { Terminal.write("\r\u{1B}[K") }
        isLineOpen = false
    }

    private func when(_ record: JSON) -> String {
        record["step"]?.int == 0 ? " before training" : " after step \(record["step"]?.int ?? 0)"
    }

    private func line(_ progress: RunProgress, _ record: JSON? = nil) -> String {
        let loss = record?["loss"]?.double ?? progress.record.loss
        var text = "step \(progress.step)/\(progress.plannedSteps) loss \(Self.number(loss))"
        text += " grad_norm \(Self.number(record?["grad_norm"]?.double ?? progress.record.gradientNorm))"
        text += " lr \(Self.scientific(progress.record.learningRate))"
        text += " \(Int(record?["tokens_per_second"]?.double ?? progress.tokensPerSecond)) tokens/s"
        if let share = progress.peakShare { text += " (\(Int((100 * share).rounded())) % of peak)" }
        if let left = progress.secondsLeft { text += " \(Self.duration(left)) left" }
        text += " \(Self.number(ProcessMemory.resident / 1_073_741_824)) GiB"
        return record.map { text + extras($0, "") } ?? text
    }

    /// The metrics of an objective, such as "rewards/margins".
    private func extras(_ record: JSON, _ prefix: String) -> String {
        (record.object ?? JSONObject()).compactMap { name, value in
            let short = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
            guard short == "token_acc" || short.contains("/"), let value = value.double else { return nil }
            return " \(short) \(Self.number(value))"
        }.joined()
    }

    /// Four places behind the point.
    static func number(_ value: Double) -> String {
        guard value.magnitude < 1e12 else { return String(value) }
        return String((value * 10_000).rounded() / 10_000)
    }

    private static func scientific(_ value: Double) -> String {
        value == 0 || value >= 0.01 ? number(value) : String(Float(value))
    }

    private static func duration(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9))
        if whole >= 3600 { return "\(whole / 3600)h\(whole / 60 % 60)m" }
        return whole >= 60 ? "\(whole / 60)m\(whole % 60)s" : "\(whole)s"
    }
}
