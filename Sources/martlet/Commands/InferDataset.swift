import Data
import Files
import Glibc
import Host
import JSON
import Model
import PluginAPI
import Serving

/// Answers to the rows of data sets, as JSON lines.
enum InferDataset {
    static func run(
        _ arguments: Arguments, _ service: TextService, _ settings: GenerationSettings, _ registry: Registry
    ) throws {
        let resolver = DatasetResolver()
        let formats = try Session.rowFormats(registry)
        let path = arguments.text("result_path")
        let ledger = RejectLedger(path: path.map { $0 + ".rejects.jsonl" })
        let work = try DatasetInference(
            service, settings: settings, isRaw: arguments.bool("raw"),
            datasets: try arguments.list("val_dataset").map(resolver.resolve), formats: formats,
            system: arguments.text("system"),
            width: arguments.int("max_batch_size") ?? 8, ledger: ledger,
            judges: AnswerJudges(
                metrics: try arguments.judges("metric", MT_KIND_METRIC, registry),
                rewards: try arguments.judges("reward", MT_KIND_REWARD, registry)))
        let results = try path.map { try LineFile($0) }
        Interrupt.catchFromNowOn()
        let start = Clock.now
        var shown = start
        try work.run(isInterrupted: { Interrupt.wasAsked }) { line in
            if let results { try results.write(line.text()) } else { Terminal.line(line.text()) }
            if Terminal.isInteractive, results != nil, Clock.now - shown > 1 {
                shown = Clock.now
                Terminal.write("\r\(work.counts.answered) rows, \(rate(work.counts.newTokens, start)) tokens/s ")
            }
        }
        let counts = work.counts
        Terminal.note(
            "[\(counts.answered) rows answered, \(ledger.counts.rejectedRows) rejected, \(counts.promptTokens) + \(counts.newTokens) tokens, \(rate(counts.newTokens, start)) generated tokens/s]"
        )
        for (cause, count) in ledger.counts.rejected.sorted(by: { $0.value > $1.value }) {
            Terminal.note("\(count) rows: \(cause)")
        }
        for verdict in work.judges.verdicts {
            let failed = verdict.failures == 0 ? "" : ", \(verdict.failures) failed: \(verdict.firstFailure ?? "")"
            Terminal.note(
                "\(verdict.id): \(verdict.mean.map { "mean \($0) of" } ?? "no number in") \(verdict.count) rows\(failed)"
            )
        }
        if Interrupt.wasAsked { throw ExitStatus(code: 130) }
        if work.judges.verdicts.contains(where: { $0.failures > 0 }) { throw ExitStatus.failure }
    }

    private static func rate(_ tokens: Int, _ start: Double) -> Double {
        Double(Int(Double(tokens) / max(1e-9, Clock.now - start) * 10)) / 10
    }
}

extension Arguments {
    /// The filters, rewards or metrics that a flag names.
    func judges(_ flag: String, _ kind: String, _ registry: Registry) throws -> [RowJudge] {
        try list(flag).compactMap { RowJudge(try registry.component(kind: kind, id: $0)) }
    }
}
