import Data
import JSON
import Template
import Testing

/// What a run says of its data sets before and after it.
@Suite struct NoticeTests {
    let scratch = Scratch()

    func data(
        _ files: [String], validation: [String] = [], renames: [String: String] = [:],
        change: (inout DataSettings) -> Void = { _ in }
    ) throws -> TrainingData {
        let resolver = DatasetResolver(columns: ColumnMapping(renames: renames))
        var settings = DataSettings()
        change(&settings)
        return try TrainingData(
            files.map(resolver.resolve), validation: validation.map(resolver.resolve), settings: settings,
            formats: formats, encoder: ByteEncoder())
    }

    @Test(arguments: [false, true]) func aRenamedColumnHasToBeInSomeRow(streams: Bool) throws {
        let first = scratch.file("first.jsonl", #"{"q":"x","a":"y"}"#)
        let second = scratch.file("second.jsonl", #"{"question":"x","answer":"y"}"#)
        let renames = ["q": "query", "a": "response"]
        let right = try data([first], renames: renames) { $0.streams = streams }
        #expect(ByteEncoder().text(of: try #require(try right.batches(epoch: 0).next()).ids) == "xy")
        // One mapping serves data sets of several forms.
        _ = try data([first, second], renames: renames) { $0.streams = streams }
        let wrong = #expect(throws: DataError.self) {
            try data([first], renames: ["qq": "query", "a": "response"]) { $0.streams = streams }
        }
        #expect(wrong?.found.contains("\"qq\"") == true && wrong?.wanted.contains("q, a") == true)
    }

    @Test func aRunOverPairsSaysWhatItLeavesOut() throws {
        let path = scratch.file("pairs.jsonl", #"{"query":"q","response":"a","rejected_response":"b"}"#)
        let answers = try data([path])
        #expect(answers.notes == ["\(path): rejected answers are not used; --rlhf_type dpo learns from pairs"])
        #expect(ByteEncoder().text(of: try #require(try answers.batches(epoch: 0).next()).ids) == "qa")
        let pairs = try data([path]) { $0.purpose = .pair }
        #expect(pairs.notes.isEmpty)
        #expect(ByteEncoder().text(of: try #require(try pairs.batches(epoch: 0).next()).ids) == "qaqb")
    }

    @Test func validationRowsAreCountedOnceAndListed() throws {
        let train = scratch.file("train.jsonl", #"{"response":"t"}"#)
        let held = scratch.file("held.jsonl", "{\"response\":\"v\"}\nbroken\n{\"foo\":1}\n")
        let list = scratch.path + "/rejects-val.jsonl"
        let data = try data([train], validation: [held]) { $0.validationRejectsPath = list }
        for _ in 0..<3 {
            let batches = try #require(data.validationBatches())
            while try batches.next() != nil {}
        }
        let counts = data.validationLedger.counts
        #expect(counts.read == 3 && counts.kept == 1)
        #expect(counts.rejected == ["not valid JSON": 1, "no known columns": 1])
        #expect(try drain(FileFeed([list], formats: formats)).count == 2)
        #expect(data.ledger.counts.read == 0)
    }

    @Test func aDataSetWithoutARowNamesTheFirstTrouble() throws {
        let path = scratch.file("none.jsonl", "\nbroken\n")
        let failure = #expect(throws: DataError.self) { try data([path]) }
        #expect(failure?.fix?.hasPrefix("\(path):2: not valid JSON") == true)
    }

    @Test func toolsThatATemplatePassesOverRejectTheRow() throws {
        let conversation = row(
            #"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":"#
                + #"[{"function":{"name":"look","arguments":{}}}]}],"tools":[{"function":{"name":"look"}}]}"#)
        func encode(_ template: String) throws -> EncodedExample {
            let encoder = TemplateEncoder(
                identity: "t", renderer: TrainingRenderer(try Template(template, name: "chat template of m")),
                endID: nil, tokenize: { $0.utf8.map { Int32($0) } }, tokenizeText: { $0.utf8.map { Int32($0) } },
                decode: { "\($0)" })
            return try encoder.encode(RowSchema().convert(conversation))
        }
        let plain =
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}"
        let calling = plain.replacing(
            "{{ m.content }}", with: "{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name }}{% endfor %}")
        #expect(try encode(calling).sequences.first?.trainedTokens == 7)
        let lost = #expect(throws: (any Error).self) { try encode(plain) }
        let said = lost.map { "\($0)" } ?? ""
        #expect(said.contains("tools are lost: the chat template of m leaves out the call of"), "\(said)")
    }

    @Test func registrationsSayWhatTheyAreFor() throws {
        let path = scratch.file(
            "dataset_info.json",
            """
            {"pairs": {"file_name": "a.json", "ranking": true},
             "votes": {"file_name": "b.json", "columns": {"kto_tag": "label"}}, "plain": {"file_name": "c.json"}}
            """)
        let entries = try Registrations(path: path).entries
        #expect(["pairs", "votes", "plain"].map { entries[$0]?.task } == ["dpo", "kto", nil])
    }
}
