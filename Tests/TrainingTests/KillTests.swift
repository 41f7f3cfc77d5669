import Glibc
import Host
import JSON
import Testing
import Training

/// The program itself, killed and failed by the system at its calls while it saves. MARTLET_EVERY_FAULT=1 takes every call;
/// otherwise every fifth.
@Suite(.serialized) struct KillTests {
    static let program = Golden.root + "../../.build/release/martlet"
    static let isThere = access(program, X_OK) == 0
    static let hasStrace = system("strace -V >/dev/null 2>&1") == 0
    /// What a save does to the disk.
    static let faultyCalls = [
        "openat", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "mkdir", "ftruncate", "fallocate",
    ]
    static var stride: Int { getenv("MARTLET_EVERY_FAULT") == nil ? 5 : 1 }

    /// A model directory of the tiny llama with a tokenizer of letters, and rows.
    let scratch = Scratch()

    init() {
        mkdir(scratch.path + "/model", 0o777)
        system(
            "cp '\(Golden.root)families/llama/config.json' '\(Golden.root)families/llama/model.safetensors' '\(scratch.path)/model'"
        )
        var vocabulary = ["<s>": 0, "</s>": 1]
        for byte in UInt8(33)...126 { vocabulary[String(UnicodeScalar(byte))] = vocabulary.count }
        let entries = vocabulary.sorted { $0.value < $1.value }.map { ($0.key, JSON.int(Int64($0.value))) }
        let tokenizer: JSON = [
            "version": "1.0",
            "added_tokens": [
                ["id": 0, "content": "<s>", "special": true], ["id": 1, "content": "</s>", "special": true],
            ],
            "normalizer": .null, "post_processor": .null,
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true],
            "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": .object(JSONObject(entries)), "merges": []],
        ]
        scratch.file("model/tokenizer.json", tokenizer.text())
        scratch.file(
            "model/tokenizer_config.json", "{\"eos_token\": \"</s>\", \"tokenizer_class\": \"PreTrainedTokenizerFast\"}"
        )
        scratch.file("rows.jsonl", (0..<12).map { "{\"text\": \"\(TinyRun.text($0))\"}\n" }.joined())
    }

    /// Runs `train` in a directory under an optional `strace`; gives its exit status and what it said.
    private func train(
        _ directory: String, steps: Int = 6, resume: Bool = false, under prefix: String = ""
    ) -> (status: Int32, output: String) {
        let log = scratch.path + "/said"
        let command = """
            cd '\(scratch.path)' && MARTLET_CACHE='\(scratch.path)/cache' \(prefix) '\(Self.program)' train --model model \
            --dataset rows.jsonl --output_dir '\(directory)' --max_steps \(steps) --gradient_accumulation_steps 2 --save_steps 2 \
            --save_total_limit 2 --lora_dropout 0.1 --report_to none \(resume ? "--resume_from_checkpoint last" : "") >'\(log)' 2>&1
            """
        let status = system(command)
        return (status, String(decoding: contents(log), as: UTF8.self))
    }

    private func path(_ directory: String, _ step: Int) -> String { "\(scratch.path)/\(directory)/checkpoint-\(step)" }

    private func result(_ directory: String, _ steps: Int = 6) -> [[UInt8]] {
        ["adapter_model.safetensors", "optimizer.safetensors"].map { contents(path(directory, steps) + "/" + $0) }
    }

    /// Goes on until the run is through, from the newest whole checkpoint or, where there is none yet, from the start.
    /// - Parameter saved: The last step whose checkpoint had got its name: nothing may have taken it away.
    private func goOn(
        _ directory: String, _ wanted: [[UInt8]], _ what: String, steps: Int = 6, saved: Int = 0
    ) throws {
        let store = CheckpointStore("\(scratch.path)/\(directory)")
        let newest = try store.newestComplete()
        // Nothing that bears a checkpoint's name is ever half-written.
        #expect(newest.problems.isEmpty, "\(what): \(newest.problems)")
        let step = newest.path.flatMap { $0.split(separator: "-").last }.flatMap { Int($0) } ?? 0
        #expect(step >= saved, "\(what): the newest checkpoint is \(step), and \(saved) was there")
        let outcome = train(directory, steps: steps, resume: newest.path != nil)
        #expect(outcome.status == 0, "\(what): \(outcome.output)")
        let isSame = result(directory, steps) == wanted  // Not in the macro: it would print every byte.
        #expect(isSame, "\(what): other weights than without interruption\n\(outcome.output)")
        let left = contents("\(scratch.path)/\(directory)/.checkpoint-\(steps).partial/digests.json")
        #expect(left.isEmpty)
        system("rm -r '\(scratch.path)/\(directory)'")
    }

    @Test(.enabled(if: isThere, "build the product martlet first")) func twentyRandomKillsEndInTheSameBits() throws {
        let steps = 40
        #expect(train("whole", steps: steps).status == 0)
        let wanted = result("whole", steps)
        #expect(wanted.allSatisfy { !$0.isEmpty })
        var random = SplitMix(state: 20)
        var kills = 0
        var reached: Set<Int> = []
        // From before the first step on; a run that got through is begun anew.
        while kills < 20 {
            let newest = try CheckpointStore(scratch.path + "/killed").newestComplete()
            #expect(newest.problems.isEmpty)
            if let path = newest.path { reached.insert(Int(path.split(separator: "-").last ?? "") ?? 0) }
            let milliseconds = 1000 + Int.random(in: 20...300, using: &random)
            let outcome = train(
                "killed", steps: steps, resume: newest.path != nil,
                under: "timeout -s KILL 0.\(String(milliseconds).dropFirst())")
            if outcome.status == 0 {
                let isSame = result("killed", steps) == wanted
                #expect(isSame, "other weights after \(kills) kills")
                system("rm -r '\(scratch.path)/killed'")
            } else {
                kills += 1
            }
        }
        try goOn("killed", wanted, "\(kills) kills, from \(reached.sorted())", steps: steps)
    }

    @Test(
        .enabled(if: isThere && hasStrace, "strace or the product martlet is missing"),
        arguments: faultyCalls + ["write", "rmdir"])
    func aKillAtAnyCallOfASaveLosesNothing(call: String) throws {
        #expect(train("whole").status == 0)
        let wanted = result("whole")
        try forEveryCall(call, "signal=KILL") { number, outcome, saved in
            try goOn("faulty", wanted, "killed at \(call) \(number)", saved: saved)
        }
    }

    @Test(
        .enabled(if: isThere && hasStrace, "strace or the product martlet is missing"),
        arguments: faultyCalls, ["ENOSPC", "EIO"])
    func anErrorAtAnyCallOfASaveIsToldAndLosesNothing(call: String, code: String) throws {
        #expect(train("whole").status == 0)
        let wanted = result("whole")
        try forEveryCall(call, "error=\(code)") { number, outcome, saved in
            if outcome.status != 0 {
                let words = code == "ENOSPC" ? "No space left on device" : "Input/output error"
                #expect(outcome.output.contains(words), "\(call) \(number) \(code): \(outcome.output)")
            }
            try goOn("faulty", wanted, "\(code) at \(call) \(number)", saved: saved)
        }
    }

    /// Injects a fault at the k-th call of a thread for growing k, until a run meets none. Of `openat` only those are failed
    /// that may make a file.
    /// - Parameter body: Gets k, what became of the run, and the last checkpoint that had got its name.
    private func forEveryCall(
        _ call: String, _ fault: String, _ body: (Int, (status: Int32, output: String), Int) throws -> Void
    ) throws {
        var met = 0
        let numbers = call == "openat" ? creatingOpens() : Array(Swift.stride(from: 1, to: 600, by: Self.stride))
        for number in numbers {
            let trace = scratch.path + "/trace"
            let calls = Set([call, "rename"]).joined(separator: ",")
            let prefix = "strace -f -qq -o '\(trace)' -e trace=\(calls) -e inject=\(call):\(fault):when=\(number)"
            let outcome = train("faulty", under: prefix)
            let text = String(decoding: contents(trace), as: UTF8.self)
            let wasInjected = text.contains("INJECTED") || text.contains("killed by SIGKILL")
            if !wasInjected { break }
            met += 1
            try body(number, outcome, Self.lastNamed(text))
        }
        system("rm -rf '\(scratch.path)/faulty'")
        #expect(met > 0 || ["fallocate", "rmdir", "ftruncate"].contains(call), "no \(call) was ever made")
    }

    /// The numbers of those `openat` of the main thread that may make a file.
    private func creatingOpens() -> [Int] {
        let trace = scratch.path + "/trace"
        _ = train("faulty", under: "strace -f -qq -o '\(trace)' -e trace=openat")
        system("rm -rf '\(scratch.path)/faulty'")
        let lines = String(decoding: contents(trace), as: UTF8.self).split(separator: "\n")
        let main = lines.first?.prefix { $0 != " " } ?? ""
        let creating = lines.filter { $0.hasPrefix(main) }.enumerated().filter { $1.contains("O_CREAT") }.map {
            $0.offset + 1
        }
        return creating.enumerated().filter { $0.offset % Self.stride == 0 }.map(\.element)
    }

    /// The last checkpoint that got its name, as the trace of `rename` has it; 0 = none.
    private static func lastNamed(_ trace: String) -> Int {
        trace.split(separator: "\n").map(String.init).compactMap { line -> Int? in
            guard line.hasSuffix(" = 0"), let end = line.firstRange(of: ".partial\", "),
                let start = line[..<end.lowerBound].firstRange(of: ".checkpoint-")
            else { return nil }
            return Int(line[start.upperBound..<end.lowerBound])
        }.max() ?? 0
    }
}
