internal import Data
import Files
internal import Graph
internal import JSON
package import Model
internal import PluginKit
internal import Template
package import Training

/// Whether a model, and an adapter over it, is what training and answering take it for: each claim with its figure and limit.
package struct Verification {
    package struct Check: Sendable {
        package let claim: String
        package let figure: Double
        package let limit: Double
        /// What the figure counts or measures, and where it was worst.
        package let detail: String
        /// A figure that is not a number passes nothing.
        package var passed: Bool { figure <= limit }
    }

    private let model: Model
    private let adapter: Adapter?
    private let components: any ComponentSource
    private let probe: LogitProbe
    private let report: (Check) -> Void

    /// - Parameters:
    ///   - model: Opened with products in f32, so that what differs is not the rounding of activations.
    ///   - report: Gets each check when it is done.
    package init(
        _ model: Model, adapter: Adapter?, components: any ComponentSource, report: @escaping (Check) -> Void
    ) throws {
        self.model = model
        self.adapter = adapter
        self.components = components
        self.report = report
        probe = try LogitProbe(model)
    }

    /// - Parameter scratch: Where the merged model may be written; it is gone when this returns.
    package func run(scratch: String) throws {
        let audit = try CheckpointAudit(model)
        report(
            Check(
                claim: "the checkpoint fits the model", figure: Double(audit.problems.count), limit: 0,
                detail: audit.problems.first
                    ?? "\(audit.parameterCount) parameters, \(audit.unused.count) tensors unused"))
        guard audit.problems.isEmpty else { return }
        try finiteWeights()
        try finiteAdapter()
        if model.options.quantizer != nil { try quantization() }
        try template()
        guard model.shape.head != nil else { return }
        let engine = try engine()
        try trainingEqualsInference(engine)
        try splits(engine)
        try resuming(scratch)
        if adapter != nil { try merged(engine, scratch) }
    }

    // MARK: Numbers

    private func finiteWeights() throws {
        var (bad, count, worst) = (0, 0, "")
        for name in model.weights.names {
            guard let source = model.weights.sources(of: name).first?.entry else { continue }
            let isDense = WeightStore.denseLayouts.contains(source.layout)
            guard isDense || source.shape.count == 2 else { continue }
            let values =
                try isDense
                ? model.files.checkpoint.floats(source)
                : model.decoded(Parameter(name: name, shape: source.shape, layout: source.layout))
            let found = values.reduce(0) { $1.isFinite ? $0 : $0 + 1 }
            if found > 0, bad == 0 { worst = ", first in \(name)" }
            bad += found
            count += values.count
        }
        report(
            Check(
                claim: "every weight is a finite number", figure: Double(bad), limit: 0,
                detail: "of \(count) numbers\(worst)"))
    }

    private func finiteAdapter() throws {
        guard let adapter else { return }
        let bad = adapter.tensors.filter { !$0.value.values.allSatisfy(\.isFinite) }
        report(
            Check(
                claim: "every number of the adapter is finite", figure: Double(bad.count), limit: 0,
                detail: "of \(adapter.tensors.count) tensors" + (bad.keys.min().map { ", first \($0)" } ?? "")))
    }

    /// Mean squared error of the quantized weights over the mean square, against the quantizer's own bound.
    private func quantization() throws {
        var (worst, place) = (0.0, "")
        var limit = 0.0
        for site in try model.outline().sites {
            guard let bound = model.weights.quantizationBound(of: site.weight.name) else { continue }
            limit = max(limit, bound)
            let (exact, kept) = (try model.weights.floats(site.weight), try model.decoded(site.weight))
            var (error, square) = (0.0, 0.0)
            for (one, other) in zip(exact, kept) {
                error += Double(one - other) * Double(one - other)
                square += Double(one) * Double(one)
            }
            let relative = square > 0 ? error / square : error
            if !(relative <= worst) { (worst, place) = (relative, site.weight.name) }
        }
        report(
            Check(
                claim: "quantized weights keep the quantizer's bound", figure: worst, limit: limit,
                detail: "squared error over square, worst in \(place)"))
    }

    // MARK: Template

    /// What is trained begins with the very prompt that answering gives the model.
    private func template() throws {
        guard model.files.chatTemplate != nil, let tokenizer = try? model.tokenizer else { return }
        let form = try ChatForm(model)
        var options = TrainingOptions()
        options.render.specialTokens = form.variables
        let questions = ["What is the capital of Italy?", "Add 2 and 3.\nThen multiply by 4.", "今天天气怎么样？"]
        var different = 0
        for question in questions {
            let asked: JSON = [["role": "user", "content": .string(question)]]
            let prompt = try tokenizer.encode(form.prompt(asked), options: .parseSpecial)
            let whole = Conversation([Message("user", question), Message("assistant", "An answer.")])
            let trained = try TrainingRenderer(form.template, options: options).encode(whole) {
                try tokenizer.encode($0, options: .parseSpecial)
            }
            let first = trained.weights.firstIndex { $0 != 0 } ?? 0
            if Array(trained.ids.prefix(prompt.count)) != prompt || first < prompt.count { different += 1 }
        }
        report(
            Check(
                claim: "training reads the prompt that answering gives", figure: Double(different), limit: 0,
                detail: "of \(questions.count) conversations begin otherwise, or train a part of the prompt"))
    }

    // MARK: Training against answering

    /// - Parameter dropout: 0 where batches are compared: it is noise that differs between any two of them.
    private func engine(dropout: Double = 0) throws -> TrainingEngine {
        var settings: JSON = [
            "rank": 4, "alpha": 8, "dropout": .double(dropout),
            "target_modules": .array(model.shape.defaultTargets.map(JSON.string)),
        ]
        var id = "lora"
        var tuner = try TunerHandle(id: id, settings: settings, components: components)
        if let adapter, var members = adapter.config.object {
            members["lora_dropout"] = .double(dropout)
            settings = .object(members)
            id = members["peft_type"]?.string?.lowercased() ?? id
            tuner = try TunerHandle(id: id, adapterConfig: settings, components: components)
        }
        let targets = model.shape.defaultTargets
        var options = TrainingEngine.Options(tuner: tuner) { name in
            adapter?.isTarget(name) ?? targets.contains { name == $0 || name.hasSuffix("." + $0) }
        }
        options.isSaved = { adapter?.isSaved($0) ?? false }
        let engine = try TrainingEngine(
            model: model, objective: ObjectiveHandle(id: "sft", settings: [:], components: components),
            optimizer: OptimizerHandle(id: "adamw", settings: [:], components: components), options: options)
        if let adapter { try engine.load(adapter) }
        return engine
    }

    private var examples: [EncodedExample] {
        probe.sequences.filter { $0.count > 1 }.enumerated().map { row, ids in
            EncodedExample(
                sequences: [EncodedSequence(ids: ids, weights: [Float](repeating: 1, count: ids.count))], row: row)
        }
    }

    /// Log-probability of each probe's text, a token of it.
    private func trainedLogps(_ engine: TrainingEngine, adapted: Bool) throws -> [Double] {
        try examples.map { example in
            try Double(engine.sequenceLogps(Batch([example]), adapted: adapted)[0]) / Double(example.count - 1)
        }
    }

    private func scoredLogps(_ model: Model) throws -> [Double] {
        let scorer = Scorer(model)
        return try examples.map { example in
            let logprobs = try scorer.logprobs(example.sequences[0].ids)
            return logprobs.reduce(0) { $0 + Double($1) } / Double(max(1, logprobs.count))
        }
    }

    private func trainingEqualsInference(_ engine: TrainingEngine) throws {
        report(
            Check(
                claim: "training and answering give the same probabilities",
                figure: Self.largest(try trainedLogps(engine, adapted: false), try scoredLogps(model)), limit: 1e-3,
                detail: "nats a token, the largest of \(examples.count) texts"))
    }

    private static func largest(_ one: [Double], _ other: [Double]) -> Double {
        zip(one, other).reduce(0) { worst, pair in
            let difference = abs(pair.0 - pair.1)
            return difference <= worst ? worst : difference
        }
    }

    /// Packed together, one by one, and in any window: the same loss and gradient.
    private func splits(_ engine: TrainingEngine) throws {
        let rows = examples
        let whole = [Batch(rows)]
        let normalizer = Double(whole[0].trainedTokens)
        func pass(_ batches: [Batch]) throws -> (loss: Double, gradient: [Float]) {
            var loss = 0.0
            for (i, batch) in batches.enumerated() {
                loss += try engine.forwardBackward(batch, normalizer: normalizer, accumulates: i > 0).loss
            }
            return (loss, try engine.parameters.entries.flatMap { try engine.parameters.gradient($0.name) })
        }
        let packed = try pass(whole)
        for (claim, batches) in [
            ("packed rows and single rows give the same gradient", rows.map { Batch([$0]) }),
            ("any accumulation gives the same gradient", [Batch(rows.prefix(1)), Batch(rows.dropFirst())]),
        ] {
            let other = try pass(batches)
            var (difference, square) = (0.0, 0.0)
            for (one, other) in zip(packed.gradient, other.gradient) {
                difference += Double(one - other) * Double(one - other)
                square += Double(one) * Double(one)
            }
            let loss = abs(packed.loss - other.loss) / max(1e-9, abs(packed.loss))
            report(
                Check(
                    claim: claim, figure: max(loss, (difference / max(1e-30, square)).squareRoot()), limit: 1e-3,
                    detail: "relative, the larger of loss \(Self.short(loss)) and gradient"))
        }
    }

    /// Two steps with dropout at once, and the second from a checkpoint after the first.
    private func resuming(_ scratch: String) throws {
        let directory = scratch + "-resume"
        defer { try? ReplacementDirectory.remove(directory) }
        let rows = examples
        let window = [Batch(rows.prefix(1)), Batch(rows.dropFirst())]
        let claim = "a run that is taken up again ends in the same bits"
        do {
            let proof = try ResumeProof([window, window], in: directory, components: components) {
                try engine(dropout: 0.1)
            }
            let place = proof.place.map { ", first in \($0)" } ?? ""
            report(
                Check(
                    claim: claim, figure: Double(proof.differing), limit: 0,
                    detail: "of \(proof.count) numbers of weights and optimizer states differ\(place)"))
        } catch let error as Training.TrainingError where error.code == .nonFinite {
            report(Check(claim: claim, figure: .nan, limit: 0, detail: "\(error)"))
        }
    }

    private static func short(_ value: Double) -> Float { Float(value) }

    // MARK: Merging

    private func merged(_ engine: TrainingEngine, _ scratch: String) throws {
        guard let adapter else { return }
        let adapted = try trainedLogps(engine, adapted: true)
        var export = ModelExport(
            model, merge: try AdapterMerge(adapter, model: model, components: components), components: components)
        export.layout = model.options.dense
        try export.writeDirectory(scratch)
        defer { export.remove(scratch) }
        report(try merged(scratch, adapted))
    }

    /// Log-probability of each probe's text with the adapter, a token of it.
    package func adaptedLogps() throws -> [Double] { try trainedLogps(engine(), adapted: true) }

    /// Whether a written model answers as the adapter did.
    package func merged(_ path: String, _ adapted: [Double]) throws -> Check {
        var options = model.options
        options.quantizer = nil
        options.dense = nil
        let written = try Model(path: path, options: options, components: components)
        let layouts = Set(written.files.checkpoint.tensors.values.filter { $0.shape.count == 2 }.map(\.layout))
        return Check(
            claim: "the merged model answers as the adapter does",
            figure: Self.largest(adapted, try scoredLogps(written)),
            limit: layouts == ["f32"] ? 1e-3 : 0.05,
            detail: "nats a token; merged weights in \(layouts.sorted().joined(separator: ", "))")
    }
}
