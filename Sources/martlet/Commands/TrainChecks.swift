import Data
import Host
import Model
import Training

/// Uses of flags that cannot work, found before anything is trained or written.
extension TrainParts {
    func check() throws {
        if arguments.int("max_steps") == 0 {
            throw UsageError("--max_steps is 0, wanted at least 1, or -1 for no limit")
        }
        if arguments.double("split_dataset_ratio") == 1 {
            throw UsageError("--split_dataset_ratio is 1, which leaves no row to train on; wanted less")
        }
        guard !arguments.has("adapters") else { return }
        let outline = try model.outline()
        let modules = outline.parameters.map { $0.name.split(separator: ".").dropLast().joined(separator: ".") }
        try checkNames("modules_to_save", modules, "module")
        if arguments.list("target_modules") != ["all-linear"], !arguments.has("target_regex") {
            try checkNames("target_modules", outline.sites.map(\.name), "linear site")
        }
    }

    /// That each name of a flag is the last part of some name.
    private func checkNames(_ flag: String, _ names: [String], _ what: String) throws {
        for name in arguments.list(flag) where !names.contains(where: { $0 == name || $0.hasSuffix("." + name) }) {
            let last = Set(names.compactMap { $0.split(separator: ".").last.map(String.init) }).sorted()
            let hint =
                nearest(name, in: last).map { "did you mean \($0)?" } ?? "there are \(last.joined(separator: ", "))"
            throw UsageError("--\(flag) names \"\(name)\", and the model has no \(what) of that name; \(hint)")
        }
    }

    /// - Throws: `UsageError` when something is asked for that hangs on evaluations, and there are none.
    func checkEvaluation(_ data: TrainingData, _ settings: RunSettings) throws {
        let asked = [
            ("eval_strategy", arguments.has("eval_strategy") && arguments.text("eval_strategy") != "no"),
            ("load_best_model_at_end", settings.loadsBestAtEnd),
            ("early_stop_interval", settings.earlyStopInterval != nil),
        ]
        guard let flag = asked.first(where: \.1)?.0 else { return }
        if data.validationBatches() == nil {
            throw UsageError(
                "--\(flag) wants rows to evaluate on, and there are none; give --val_dataset or --split_dataset_ratio")
        }
        if settings.evaluates == .never {
            throw UsageError("--\(flag) wants evaluations, and --eval_strategy is no; say steps or epoch")
        }
    }
}
