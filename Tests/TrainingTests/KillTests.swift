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
    private func train(_ directory: String, resume: Bool = false, under prefix: String = "") -> (
        status: Int32, output: String
    ) {
        let log = scratch.path + "/said"
        let command = """
            cd '\(scratch.path)' && MARTLET_CACHE='\(scratch.path)/cache' \(prefix) '\(Self.program)' train --model model \
            --dataset rows.jsonl --output_dir '\(directory)' --max_steps 6 --gradient_accumulation_steps 2 --save_steps 2 \
            --save_total_limit 2 --lora_dropout 0.1 --report_to none \(resume ? "--resume_from_checkpoint last" : "") >'\(log)' 2>&1
            """
        let status = system(command)
        return (status, String(decoding: contents(log), as: UTF8.self))
    }

    private func path(_ directory: String, _ step: Int) -> String { "\(scratch.path)/\(directory)/checkpoint-\(step)" }

    private func result(_ directory: String) -> [[UInt8]] {
        ["adapter_model.safetensors", "optimizer.safetensors"].map { contents(path(directory, 6) + "/" + $0) }
    }

    /// Goes on until the run is through, from the newest whole checkpoint or, where there is none yet, from the start.
    private func goOn(_ directory: String, _ wanted: [[UInt8]], _ what: String) throws {
        let store = CheckpointStore("\(scratch.path)/\(directory)")
        let newest = try store.newestComplete()
        // Nothing that bears a checkpoint's name is ever half-written.
        #expect(newest.problems.isEmpty, "\(what): \(newest.problems)")
        let outcome = train(directory, resume: newest.path != nil)
        #expect(outcome.status == 0, "\(what): \(outcome.output)")
        let isSame = result(directory) == wanted  // Not in the macro: it would print every byte.
        #expect(isSame, "\(what): other weights than without interruption\n\(outcome.output)")
        let left = contents("\(scratch.path)/\(directory)/.checkpoint-6.partial/digests.json")
        #expect(left.isEmpty)
        system("rm -r '\(scratch.path)/\(directory)'")
    }

    @Test(.enabled(if: isThere, "build the product martlet first")) func twentyKillsAtAnyTimeEndInTheSameBits() throws {
        #expect(train("whole").status == 0)
        let wanted = result("whole")
        #expect(wanted.allSatisfy { !$0.isEmpty })
        var kills = 0
        for trial in 0..<20 {
            // From before the first step to after the last one.
            let milliseconds = 20 + trial * 17 % 400
            let resume = try CheckpointStore(scratch.path + "/killed").newestComplete().path != nil
            let outcome = train(
                "killed", resume: resume, under: "timeout -s KILL 0.\(String(1000 + milliseconds).dropFirst())")
            if outcome.status != 0 { kills += 1 }
        }
        #expect(kills > 0)
        try goOn("killed", wanted, "\(kills) kills")
    }

    @Test(
        .enabled(if: isThere && hasStrace, "strace or the product martlet is missing"),
        arguments: ["pwrite64", "write", "fsync", "rename", "unlink", "rmdir", "mkdir", "fallocate"])
    func aKillAtAnyCallOfASaveLosesNothing(call: String) throws {
        #expect(train("whole").status == 0)
        let wanted = result("whole")
        try forEveryCall(call, "signal=KILL") { number, outcome in
            try goOn("faulty", wanted, "killed at \(call) \(number)")
        }
    }

    @Test(
        .enabled(if: isThere && hasStrace, "strace or the product martlet is missing"),
        arguments: ["pwrite64", "fsync", "rename", "unlink", "mkdir", "fallocate"], ["ENOSPC", "EIO"])
    func anErrorAtAnyCallOfASaveIsToldAndLosesNothing(call: String, code: String) throws {
        #expect(train("whole").status == 0)
        let wanted = result("whole")
        try forEveryCall(call, "error=\(code)") { number, outcome in
            if outcome.status != 0 {
                let words = code == "ENOSPC" ? "No space left on device" : "Input/output error"
                #expect(outcome.output.contains(words), "\(call) \(number) \(code): \(outcome.output)")
            }
            try goOn("faulty", wanted, "\(code) at \(call) \(number)")
        }
    }

    /// Injects a fault at the k-th call for growing k, until a run meets none.
    private func forEveryCall(
        _ call: String, _ fault: String, _ body: (Int, (status: Int32, output: String)) throws -> Void
    ) throws {
        var number = 1
        var met = 0
        while number < 400 {
            let trace = scratch.path + "/trace"
            let prefix = "strace -f -qq -o '\(trace)' -e trace=\(call) -e inject=\(call):\(fault):when=\(number)"
            let outcome = train("faulty", under: prefix)
            let text = String(decoding: contents(trace), as: UTF8.self)
            let wasInjected = text.contains("INJECTED") || text.contains("killed by SIGKILL")
            if !wasInjected { break }
            met += 1
            try body(number, outcome)
            number += Self.stride
        }
        system("rm -rf '\(scratch.path)/faulty'")
        #expect(met > 0 || call == "fallocate" || call == "rmdir", "no \(call) was ever made")
    }
}
