import Glibc
import Host
import JSON
import Model
import PluginAPI
import PluginKit
import Serving
import Testing

/// The engine over real graphs: tiny random models whose greedy continuations transformers computed (Tests/Oracles/families.py).
@Suite(.serialized) struct EngineTests {
    let components: Registry
    let runners: ModelRunnerService

    init() throws { (components, runners) = try Installed.opened() }

    private static let goldens =
        #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Goldens/families/"

    private struct Golden {
        let model: Model
        let prompts: [[Int32]]
        let greedy: [Int32]
        /// The second prompt's, where it is known.
        let other: [Int32]?
    }

    private func golden(_ variant: String) throws -> Golden {
        let folder = Self.goldens + variant
        let expected = try CheckpointHandle(path: folder + "/expected.safetensors", components: components)
        func numbers(_ name: String) throws -> [Int32] {
            let bytes = try expected.bytes(of: try #require(expected.tensors[name]))
            return (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
        }
        return Golden(
            model: try Model(path: folder, components: components),
            prompts: [try numbers("ids.0"), try numbers("ids.1")],
            greedy: try numbers("greedy"),
            other: expected.tensors["greedy.1"] == nil ? nil : try numbers("greedy.1"))
    }

    private func engine(_ model: Model, _ options: [(String, JSON)] = []) throws -> EngineHandle {
        var all = runners.lend(model).object ?? JSONObject()
        for (key, value) in options { all[key] = value }
        return try EngineHandle(id: "native", options: .object(all), components: components)
    }

    /// The tokens of each request, by the requests' order.
    private func finish(_ engine: EngineHandle, _ requests: [UInt64]) throws -> [[Int32]] {
        var tokens: [UInt64: [Int32]] = [:]
        var open = Set(requests)
        var steps = 0
        while !open.isEmpty {
            steps += 1
            try #require(steps < 20_000, "no end in sight")
            _ = try engine.step()
            while let event = engine.poll() {
                switch event.kind {
                case .token(let id): tokens[event.request, default: []].append(id)
                case .finished: open.remove(event.request)
                case .failed(let message):
                    Issue.record("\(message)")
                    open.remove(event.request)
                }
            }
        }
        return requests.map { tokens[$0] ?? [] }
    }

    private static let sampling: JSON = ["max_tokens": 64, "ignore_eos": true]

    /// Every variant whose continuation is known.
    private static let variants: [String] = {
        guard let folder = opendir(goldens) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let isOther = ["classifier", "reward", "embedding", "mlm", "bert", "roberta", "tokens", "clip", "whisper"]
                .contains {
                    name.contains($0)
                }
            if !isOther, name != "llama-rope-dynamic", !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }()

    @Test(arguments: variants) func greedyTokensEqualTransformersWhateverTheChunks(variant: String) throws {
        let golden = try golden(variant)
        #expect(golden.greedy.count == 64 && Self.variants.count > 50)
        for (budget, block) in [(512, 32), (5, 16)] {
            let engine = try engine(
                golden.model,
                [
                    ("max_tokens_per_step", .int(Int64(budget))), ("block_size", .int(Int64(block))),
                    ("max_model_len", 128),
                ])
            // Three at once: the same twice, and another in between.
            let requests = try [golden.prompts[0], golden.prompts[1], golden.prompts[0]].map {
                try engine.submit($0, sampling: Self.sampling)
            }
            let found = try finish(engine, requests)
            #expect(found[0] == golden.greedy, "\(budget) tokens a step")
            #expect(found[2] == golden.greedy, "\(budget) tokens a step")
            #expect(found[1].count == 64)
            if let other = golden.other { #expect(found[1] == other, "\(budget) tokens a step") }
        }
    }

    /// Rotations that depend on the length go by each sequence's own, in whatever company, and blocks are shared only by those
    /// whose keys are the same.
    @Test(arguments: ["phi3-longrope-crossing", "llama-rope-dynamic-crossing"])
    func aPromptFoundInTheCacheSaysTheSameOnBothSidesOfTheTrainedLength(variant: String) throws {
        let golden = try golden(variant)
        let engine = try engine(golden.model, [("block_size", 16), ("max_model_len", 256)])
        // The answer's first half with its prompt is a prompt longer than the trained length.
        let whole = golden.prompts[0] + golden.greedy[..<30]
        let sampling: JSON = ["max_tokens": 20, "ignore_eos": true]
        let alone = try finish(engine, [try engine.submit(whole, sampling: sampling, salt: "alone")])[0]
        _ = try finish(engine, [try engine.submit(golden.prompts[1], sampling: Self.sampling)])
        _ = try finish(engine, [try engine.submit(golden.prompts[0], sampling: Self.sampling)])
        #expect(try finish(engine, [try engine.submit(whole, sampling: sampling)])[0] == alone)
        let again = try finish(engine, [try engine.submit(golden.prompts[1], sampling: Self.sampling)])[0]
        #expect(again == golden.other)
    }

    @Test func aPromptThatWasReadIsNotReadAgainAndSaysTheSame() throws {
        let golden = try golden("llama")
        let engine = try engine(golden.model, [("block_size", 16), ("max_model_len", 256)])
        let prompt = golden.prompts[0] + golden.greedy[..<32]
        let sampling: JSON = ["max_tokens": 20, "ignore_eos": true]
        let first = try finish(engine, [try engine.submit(prompt, sampling: sampling)])[0]
        #expect(try engine.stats()["cached_tokens"] == 0)
        let second = try finish(engine, [try engine.submit(prompt, sampling: sampling)])[0]
        #expect(try engine.stats()["cached_tokens"] == 48)
        let salted = try finish(engine, [try engine.submit(prompt, sampling: sampling, salt: "another")])[0]
        #expect(try engine.stats()["cached_tokens"] == 48)
        #expect(first == Array(golden.greedy[32..<52]) && second == first && salted == first)
    }

    @Test(arguments: ["llama", "mistral-window"])
    func aCacheTooSmallForAllSetsSomeBackAndLosesNothing(variant: String) throws {
        let golden = try golden(variant)
        let roomy = try engine(golden.model, [("block_size", 16), ("max_model_len", 96), ("max_sequences", 12)])
        let perPosition = golden.model.shape.attention.reduce(0) {
            $0 + $1.keyValueHeads * ($1.keyWidth + $1.valueWidth) * 4
        }
        let tight = try engine(
            golden.model,
            [
                ("block_size", 16), ("max_model_len", 96), ("max_sequences", 12),
                ("cache_bytes", .int(Int64(perPosition * 16 * 9))),
            ])
        let prompts = (0..<12).map { i in golden.prompts[i % 2].map { ($0 + Int32(i)) % 96 } }
        func run(_ engine: EngineHandle) throws -> [[Int32]] {
            try finish(engine, try prompts.map { try engine.submit($0, sampling: Self.sampling) })
        }
        #expect(try run(roomy) == run(tight))
        if variant == "llama" { #expect(try #require(try tight.stats()["preemptions"]?.int) > 0) }
        #expect(try tight.stats()["blocks_used"] == 0)
        #expect(try tight.stats()["running"] == 0)
    }

    @Test func drawsDependOnTheSeedAndNotOnTheNeighbours() throws {
        let golden = try golden("qwen2")
        let engine = try engine(golden.model, [("max_model_len", 128)])
        func document(_ seed: Int) -> JSON {
            ["max_tokens": 24, "ignore_eos": true, "temperature": 1.5, "top_p": 0.95, "seed": .int(Int64(seed))]
        }
        let alone = try finish(engine, [try engine.submit(golden.prompts[0], sampling: document(7))])[0]
        let crowd = try finish(
            engine, try [3, 7, 9, 7].map { try engine.submit(golden.prompts[0], sampling: document($0)) })
        #expect(crowd[1] == alone && crowd[3] == alone)
        #expect(crowd[0] != alone && crowd[2] != alone)
    }

    @Test func aCancelledRequestEndsAndGivesItsBlocksBack() throws {
        let golden = try golden("llama")
        let engine = try engine(golden.model, [("max_model_len", 128)])
        let request = try engine.submit(golden.prompts[0], sampling: Self.sampling)
        for _ in 0..<3 { _ = try engine.step() }
        engine.cancel(request)
        engine.cancel(12345)
        _ = try engine.step()
        var last: EngineEvent?
        while let event = engine.poll() { last = event }
        guard case .finished(.cancelled)? = last?.kind else {
            Issue.record("the last event is \(String(describing: last))")
            return
        }
        #expect(try engine.stats()["blocks_used"] == 0)
        #expect(try !engine.step())
    }

    @Test func logprobsAreTheModelsOwn() throws {
        let golden = try golden("llama")
        let engine = try engine(golden.model, [("max_model_len", 128)])
        _ = try engine.submit(
            golden.prompts[0], sampling: ["max_tokens": 1, "logprobs": 3, "temperature": 0.1, "repetition_penalty": 5])
        _ = try engine.step()
        let event = try #require(engine.poll())
        let expected = try CheckpointHandle(path: Self.goldens + "llama/expected.safetensors", components: components)
        let all = try expected.floats(try #require(expected.tensors["logits.0"]))
        let row = all.suffix(golden.model.shape.vocabulary).map(Double.init)
        let top = row.max() ?? 0
        let sum = top + log(row.reduce(0) { $0 + exp($1 - top) })
        #expect(event.top.count == 3)
        for entry in event.top { #expect(abs(Double(entry.logprob) - (row[Int(entry.id)] - sum)) < 1e-3) }
        #expect(event.top.map(\.logprob) == event.top.map(\.logprob).sorted(by: >))
        #expect(Double(event.top[0].logprob) >= Double(event.logprob))
    }

    @Test func whatCannotBeServedIsRefusedAtOnce() throws {
        let golden = try golden("llama")
        let engine = try engine(golden.model, [("max_model_len", 20), ("max_queue", 2)])
        for (prompt, sampling) in [
            ([], [:]), ([1, -3], [:]), (Array(repeating: 1, count: 20), [:]), ([1], ["top_p": 7]),
        ] as [([Int32], JSON)] {
            #expect(throws: PluginError.self) { try engine.submit(prompt, sampling: sampling) }
        }
        for _ in 0..<2 { _ = try engine.submit([1, 2], sampling: [:]) }
        let error = #expect(throws: PluginError.self) { try engine.submit([1, 2], sampling: [:]) }
        #expect(error?.code == .busy)
    }
}
