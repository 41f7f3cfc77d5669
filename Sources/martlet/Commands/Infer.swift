import Glibc
import Host
import JSON
import Model
import PluginAPI
import Serving
import Training

/// Answers one prompt, holds a conversation, or answers the rows of data sets.
enum InferCommand: Command {
    static let name = "infer"
    static let summary = "Chat with a model, complete a prompt, or answer a data set"
    static let operands = "[PROMPT]"
    static let flags =
        Session.modelFlags + [
            Flag("adapters", .text, "PEFT adapter directory to put over the model"),
            Flag("system", .text, "System message"),
            Flag("raw", .boolean, "Continue the text as it stands, without the chat template", default: "false"),
            Flag("enable_thinking", .boolean, "What the template is told about thinking"),
            Flag(
                "max_new_tokens", .integer, "Most tokens to generate; as many as there is room for when not given",
                in: .from(1), aliases: ["max_tokens"]),
            Flag(
                "temperature", .number, "0 takes the likeliest token; from generation_config.json when not given",
                in: 0...1000),
            Flag("top_k", .integer, "Choose among this many; 0 = all", in: .from(-1)),
            Flag("top_p", .number, "Choose among the likeliest that make up this share; 1 = all", in: 0...1),
            Flag(
                "min_p", .number, "Choose among those with this share of the likeliest one's probability; 0 = all",
                in: 0...1),
            Flag("repetition_penalty", .number, "Above 1 avoids repeating", in: 0.001...1000),
            Flag("presence_penalty", .number, "Above 0 avoids tokens that were generated", in: -1000...1000),
            Flag(
                "frequency_penalty", .number, "Above 0 avoids tokens the more often they were generated",
                in: -1000...1000),
            Flag("stop_words", .list, "Texts that end the answer"),
            Flag("seed", .integer, "Seed of the choice", default: "42"),
            Flag("logprobs", .boolean, "Report log-probabilities, with --json or --result_path", default: "false"),
            Flag("top_logprobs", .integer, "And those of so many likeliest tokens", default: "0", in: 0...100),
            Flag("ignore_eos", .boolean, "Go on behind end tokens", default: "false"),
            Flag("stream", .boolean, "Show the answer as it comes", default: "true"),
            Flag("val_dataset", .list, "Data sets to answer: files, directories or names", aliases: ["dataset"]),
            Flag("result_path", .text, "JSONL file for the results of a data set; standard output without it"),
            Flag("metric", .list, "Metrics (plugin list --kind metric) that judge each answer to a data set"),
            Flag("reward", .list, "Rewards (plugin list --kind reward) that judge each answer to a data set"),
            Flag(
                "max_batch_size", .integer, "Rows of a data set that are worked on at once", default: "8", in: 1...65536
            ),
            Flag(
                "max_model_len", .integer, "Longest prompt and answer together; the model's own when not given",
                in: .from(1), aliases: ["max_length"]),
            Flag(
                "max_tokens_per_step", .integer, "Tokens that run at once: prompts are read in pieces of this size",
                default: "512", in: 1...1_048_576),
            Flag(
                "cache_bytes", .integer, "Bytes for keys and values; a quarter of what is free at most when not given",
                in: .from(1)),
            Flag("infer_backend", .text, "Engine plugin", default: "native"),
        ]

    static func plan(_ plan: inout Plan) throws {
        let arguments = plan.arguments
        let registry = try Session.registry(arguments)
        let model = try plan.model(registry)
        let adapter = try plan.adapter(registry)
        let engine = try arguments.required("infer_backend")
        _ = try registry.component(kind: MT_KIND_ENGINE, id: engine)
        plan.add("engine", engine)
        try plan.datasets(["val_dataset"], registry)
        if let path = arguments.text("result_path") { plan.add("output", path) }
        guard let model else { return }
        if adapter != nil, let path = arguments.text("adapters") { try Session.adapt(model, path, registry) }
        if !arguments.positional.isEmpty, model.files.chatTemplate != nil, !arguments.bool("raw") {
            let asked: JSON = [["role": "user", "content": .string(arguments.positional.joined(separator: " "))]]
            plan.add("prompt", try ChatForm(model).prompt(asked).replacing("\n", with: "\\n"))
        }
        let context = arguments.int("max_model_len") ?? 4096
        plan.memory(
            try MemoryEstimate(
                answering: model, context: context, step: min(context, arguments.int("max_tokens_per_step") ?? 512)))
    }

    static func run(_ arguments: Arguments) throws {
        let isBatch = arguments.has("val_dataset")
        let text = isBatch ? nil : try prompt(arguments)
        let registry = try Session.registry(arguments)
        let runners = ModelRunnerService(.shared, components: registry)
        let model = try Session.model(arguments, registry)
        try CheckpointAudit(model).check(model.path)
        if let adapter = arguments.text("adapters") { try Session.adapt(model, adapter, registry) }
        var options = JSONObject([("max_sequences", .int(Int64(isBatch ? arguments.int("max_batch_size") ?? 8 : 1)))])
        for key in ["max_model_len", "max_tokens_per_step", "cache_bytes"] {
            if let value = arguments.int(key) { options[key] = .int(Int64(value)) }
        }
        let service = try TextService(
            model, runners: runners, engine: try arguments.required("infer_backend"), options: options,
            components: registry)
        let settings = settings(arguments)
        if isBatch { return try InferDataset.run(arguments, service, settings, registry) }
        Interrupt.catchFromNowOn()
        guard let text else { return try InferChat.run(arguments, service, settings) }
        try answer(text, arguments, service, settings)
    }

    /// The prompt, from the command line or a pipe; nil for a conversation at a terminal.
    private static func prompt(_ arguments: Arguments) throws -> String? {
        let isOperand = !arguments.positional.isEmpty
        if !isOperand, isatty(0) == 1 { return nil }
        let text = isOperand ? arguments.positional.joined(separator: " ") : try Input.text("-")
        guard text.contains(where: { !$0.isWhitespace }) else {
            throw UsageError(
                (isOperand ? "the prompt is empty" : "standard input is empty")
                    + "; give a prompt, or none at a terminal for a conversation")
        }
        return text
    }

    private static func settings(_ arguments: Arguments) -> GenerationSettings {
        var settings = GenerationSettings()
        settings.temperature = arguments.double("temperature")
        settings.topK = arguments.int("top_k")
        settings.topP = arguments.double("top_p")
        settings.minP = arguments.double("min_p")
        settings.repetitionPenalty = arguments.double("repetition_penalty")
        settings.presencePenalty = arguments.double("presence_penalty")
        settings.frequencyPenalty = arguments.double("frequency_penalty")
        settings.stopWords = arguments.list("stop_words")
        settings.seed = arguments.int("seed")
        settings.maximumTokens = arguments.int("max_new_tokens")
        settings.ignoresEnd = arguments.bool("ignore_eos")
        if arguments.bool("logprobs") || (arguments.int("top_logprobs") ?? 0) > 0 {
            settings.logprobs = arguments.int("top_logprobs") ?? 0
        }
        return settings
    }

    /// Answers one prompt.
    private static func answer(
        _ text: String, _ arguments: Arguments, _ service: TextService, _ settings: GenerationSettings
    ) throws {
        let isJSON = arguments.bool("json")
        let streams = arguments.bool("stream") && !isJSON
        let onText: (String) -> Void = { if streams { Terminal.write($0) } }
        let answer: Answer
        if arguments.bool("raw") {
            answer = try service.submit(try service.encode(text), settings, onText: onText)
            try service.finish(answer, isInterrupted: { Interrupt.wasAsked })
            if answer.end == .error { throw ModelError(.invalid, answer.message, at: "generation") }
        } else {
            let session = try ChatSession(service, settings: settings, system: arguments.text("system"))
            session.variables = variables(arguments)
            answer = try session.ask(text, isInterrupted: { Interrupt.wasAsked }, onText: onText)
        }
        if isJSON { return Terminal.line(try report(answer, service, settings).text()) }
        Terminal.line(streams ? "" : answer.text)
        Terminal.note(figures(answer))
        if answer.end == .cancelled { throw ExitStatus(code: 130) }
    }

    static func variables(_ arguments: Arguments) -> JSONObject {
        guard arguments.has("enable_thinking") else { return JSONObject() }
        return JSONObject([("enable_thinking", .bool(arguments.bool("enable_thinking")))])
    }

    private static func report(_ answer: Answer, _ service: TextService, _ settings: GenerationSettings) throws -> JSON
    {
        var out = JSONObject([
            ("text", .string(answer.text)), ("finish_reason", .string(answer.end?.rawValue ?? "")),
            ("ids", .array(answer.tokens.map { .int(Int64($0)) })), ("prompt_tokens", .int(Int64(answer.promptCount))),
            ("completion_tokens", .int(Int64(answer.tokens.count))),
            ("seconds_to_first_token", .double(answer.secondsToFirst ?? 0)),
            ("seconds", .double(answer.seconds)), ("tokens_per_second", .double(answer.rate)),
        ])
        if settings.logprobs != nil { out["logprobs"] = try service.logprobs(answer) }
        return .object(out)
    }

    /// One line on how fast it was.
    static func figures(_ answer: Answer) -> String {
        let first = Int((answer.secondsToFirst ?? answer.seconds) * 1000)
        let rate = Double(Int(answer.rate * 10)) / 10
        let cut = answer.end == .length ? ", cut at the limit" : answer.end == .cancelled ? ", interrupted" : ""
        return
            "[\(answer.promptCount) + \(answer.tokens.count) tokens, first after \(first) ms, then \(rate) tokens/s\(cut)]"
    }
}
