import Data
import JSON
import PluginAPI
import PluginKit
import Template
import Testing

@Suite struct SchemaTests {
    func convert(_ text: String, _ schema: RowSchema = RowSchema()) throws -> TrainingRow {
        try schema.convert(row(text))
    }

    func turns(_ conversation: Conversation?) -> [String] {
        conversation?.messages.map { "\($0.role): \($0.text)" } ?? []
    }

    func cause(_ text: String, _ schema: RowSchema = RowSchema()) -> String? {
        do throws(Reject) {
            _ = try schema.convert(row(text))
            return nil
        } catch { return error.cause }
    }

    @Test func conversationsInAllTheirSpellingsAreTheSame() throws {
        let wanted = ["system: s", "user: q", "assistant: a", "user: r", "assistant: b"]
        let rows = [
            """
            {"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"a"},
            {"role":"user","content":"r"},{"role":"assistant","content":"b"}]}
            """,
            """
            {"system":"s","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"},
            {"from":"human","value":"r"},{"from":"gpt","value":"b"}]}
            """,
            #"{"system":"s","conversation":[{"human":"q","assistant":"a"},{"assistant":"b","human":"r"}]}"#,
            #"{"system":"s","query":"r","response":"b","history":[["q","a"]]}"#,
            #"{"system":"s","instruction":"r","input":"","output":"b","history":[["q","a"]]}"#,
            #"{"system":"s","prompt":"r","completion":"b","history":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#,
        ]
        for text in rows { #expect(turns(try convert(text).conversation) == wanted) }
    }

    @Test func alpacaInputFollowsItsInstruction() throws {
        #expect(
            turns(try convert(#"{"instruction":"i","input":"x","output":"o"}"#).conversation) == [
                "user: i\nx", "assistant: o",
            ])
    }

    @Test func aTextAloneIsContinued() throws {
        for text in [#"{"text":"t"}"#, #"{"response":"t"}"#, #"{"content":"t"}"#] {
            let row = try convert(text)
            #expect(row.isText)
            #expect(turns(row.conversation) == ["assistant: t"])
        }
    }

    @Test func toolCallsOfOpenAIAnthropicAndShareGPTAreTheSame() throws {
        let rows = [
            """
            {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1",
            "type":"function","function":{"name":"f","arguments":"{\\"x\\":1}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"r"},{"role":"assistant","content":"a"}],
            "tools":[{"type":"function","function":{"name":"f"}}]}
            """,
            """
            {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use","id":"c1",
            "name":"f","input":{"x":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1",
            "content":[{"type":"text","text":"r"}]}]},{"role":"assistant","content":[{"type":"text","text":"a"}]}]}
            """,
            """
            {"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\\"name\\":\\"f\\",
            \\"arguments\\":{\\"x\\":1}}"},{"from":"observation","value":"r"},{"from":"gpt","value":"a"}],
            "tools":"[{\\"name\\":\\"f\\"}]"}
            """.replacing("\n", with: ""),
        ]
        for text in rows {
            let row = try convert(text)
            #expect(turns(row.conversation) == ["user: q", "assistant: ", "tool: r", "assistant: a"])
            #expect(row.conversation.messages[1].toolCalls.map(\.name) == ["f"])
            #expect(row.conversation.messages[1].toolCalls.first?.arguments == ["x": 1])
        }
    }

    @Test func pairsInAllTheirSpellingsAreTheSame() throws {
        let schema = RowSchema(.pair)
        let rows = [
            #"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"rejected_response":"b"}"#,
            #"{"query":"q","response":"a","rejected_response":"b"}"#,
            #"{"prompt":"q","chosen":"a","rejected":"b"}"#,
            #"{"conversations":[{"from":"human","value":"q"}],"chosen":{"from":"gpt","value":"a"},"rejected":{"from":"gpt","value":"b"}}"#,
            #"{"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}"#,
            #"{"chosen":"\n\nHuman: q\n\nAssistant: a","rejected":"\n\nHuman: q\n\nAssistant: b"}"#,
            #"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"rejected_messages":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}"#,
        ]
        for text in rows {
            let row = try convert(text, schema)
            #expect(turns(row.conversation) == ["user: q", "assistant: a"])
            #expect(turns(row.rejected) == ["user: q", "assistant: b"])
        }
    }

    @Test func labelsAreTrueOrFalse() throws {
        let text = #"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"label":false}"#
        #expect(try convert(text, RowSchema(.label)).label == 0)
        #expect(try convert(#"{"prompt":"q","completion":"a","label":true}"#, RowSchema(.label)).label == 1)
    }

    @Test func columnsAreRenamedAsTheUserSays() throws {
        let schema = RowSchema(columns: ColumnMapping(renames: ["Q": "query", "A": "response", "input": "unused"]))
        let row = try convert(#"{"Q":"q","A":"a","input":"i"}"#, schema)
        #expect(turns(row.conversation) == ["user: q", "assistant: a"])
        #expect(row.extra["unused"] == "i")
    }

    @Test func aFormatNamesColumnsOrWritesTheText() throws {
        let names = try TextPattern("instruction: {frage}, response: {antwort}", place: "f")
        #expect(names.renames == ["frage": "query", "antwort": "response"])
        let text = try TextPattern("Q: {q} ({hint})\nA: {a}.", place: "f")
        #expect(text.renames == nil)
        let row = try convert(#"{"q":"x","hint":2,"a":"y"}"#, RowSchema(columns: ColumnMapping(pattern: text)))
        #expect(turns(row.conversation) == ["user: Q: x (2)\nA: ", "assistant: y."])
        #expect(throws: DataError.self) { try TextPattern("no column", place: "f") }
    }

    @Test func weightsOfMessagesAreKept() throws {
        let row = try convert(
            """
            {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","loss":false},
            {"role":"user","content":"r"},{"role":"assistant","content":"b","loss_scale":0.5}]}
            """)
        #expect(row.conversation.messages.map(\.isTrained) == [nil, false, nil, true])
        #expect(row.conversation.messages.last?.lossScale == 0.5)
    }

    @Test func picturesAreFoundInPartsColumnsAndTags() throws {
        let rows = [
            #"{"query":"<image>q","response":"a","images":["u"]}"#, #"{"query":"<img>u</img>q","response":"a"}"#,
            #"{"query":"q","response":"a","image":{"path":"u"}}"#,
            """
            {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"q"}]},
            {"role":"assistant","content":"a"}]}
            """,
        ]
        for text in rows {
            let row = try convert(text)
            #expect(row.conversation.messages.first?.content == [.media(Media(.image, source: "u")), .text("q")])
        }
        #expect(
            cause(#"{"query":"<image>q","response":"a","images":["u","v"]}"#)
                == "broken conversation: the texts have 1 <image>, but \"images\" has 2")
    }

    @Test func rowsThatFitNothingSayWhy() {
        #expect(cause(#"{"foo":1}"#)?.hasPrefix("no known columns") == true)
        #expect(cause(#"{"messages":[]}"#) == "messages is empty")
        #expect(
            cause(#"{"messages":[{"role":"user","content":"q"}]}"#) == "no answer: the last message is from the user")
        #expect(cause(#"{"messages":"x"}"#) == "wrong type: \"messages\" is a string, wanted a list of messages")
        #expect(
            cause(#"{"messages":[{"role":"narrator","content":"q"}]}"#)
                == "unknown role: messages[0] says \"narrator\"")
        #expect(
            cause(#"{"messages":[{"role":"user"}]}"#)
                == "empty message: messages[0] has neither content nor tool calls")
        #expect(cause(#"{"query":{"a":1},"response":"a"}"#) == "wrong type: \"query\" is a object, wanted a text")
        #expect(cause(#"{"query":"q","response":"a"}"#, RowSchema(.pair))?.hasPrefix("no pair") == true)
        #expect(cause(#"{"query":"q","response":"a"}"#, RowSchema(.label))?.hasPrefix("no label") == true)
        #expect(
            cause(#"{"prompt":"q","chosen":"a","rejected":"a"}"#, RowSchema(.pair))
                == "no pair: chosen and rejected are the same")
    }

    @Test func answersThatWereNotChosenAreNotTrained() throws {
        let pair = try convert(#"{"prompt":"q","chosen":"a","rejected":"b"}"#)
        #expect(turns(pair.conversation) == ["user: q", "assistant: a"])
        #expect(pair.rejected == nil)
        for label in ["false", "\"False\""] {
            let text = #"{"query":"q","response":"a","label":\#(label)}"#
            #expect(cause(text)?.hasPrefix("undesirable answer:") == true)
            #expect(try convert(text, RowSchema(.label)).label == 0)
        }
        #expect(cause(#"{"query":"q","response":"a","label":true}"#) == nil)
        // A class is no verdict.
        #expect(try convert(#"{"query":"q","response":"a","label":0}"#).label == 0)
    }

    @Test func anEmptyQuestionIsNoText() throws {
        for text in [
            #"{"query":"","response":"a"}"#, #"{"query":null,"response":"a"}"#,
            #"{"instruction":"","input":"","output":"a"}"#, #"{"query":"","response":"a","history":[["q","b"]]}"#,
        ] { #expect(cause(text)?.hasPrefix("no question: ") == true, "\(text)") }
        #expect(try convert(#"{"query":"","response":"a","images":["u"]}"#).conversation.messages.count == 2)
    }

    @Test func placeholdersAreFilled() throws {
        let schema = RowSchema(substitutions: ["{{name}}": "Martlet", "{{author}}": "us"])
        let row = try convert(#"{"query":"who?","response":"I am {{name}} by {{author}}"}"#, schema)
        #expect(row.conversation.messages.last?.text == "I am Martlet by us")
    }

    /// Rows of each file of the shared data, and how many a schema takes.
    @Test(
        .enabled(if: sharedData != nil, "shared test data is absent"),
        arguments: [
            ("formats/alpaca.csv", RowSchema.Purpose.answer, 3, 0), ("formats/alpaca.jsonl", .answer, 3, 0),
            ("formats/chatml.jsonl", .answer, 3, 0), ("formats/conversations.jsonl", .answer, 3, 0),
            ("formats/multi_modal_1.jsonl", .answer, 3, 0), ("formats/multi_modal_2.jsonl", .answer, 3, 0),
            ("formats/multi_modal_3.jsonl", .answer, 3, 0), ("formats/sharegpt.jsonl", .answer, 3, 0),
            ("formats/swift_multi.json", .answer, 3, 0), ("formats/swift_multi.jsonl", .answer, 3, 0),
            ("formats/swift_pre.csv", .answer, 3, 0), ("formats/swift_pre.jsonl", .answer, 3, 0),
            ("formats/swift_single.csv", .answer, 3, 0), ("formats/swift_single.jsonl", .answer, 3, 0),
            ("kto/kto_en_demo.first2of3.json", .label, 200, 0), ("multimodal/audio_qa_rows.json", .answer, 3, 0),
            ("multimodal/format_mllm_audio_demo.json", .answer, 3, 0),
            ("multimodal/format_mllm_demo.json", .answer, 6, 0),
            ("multimodal/image_qa_rows.json", .answer, 8, 0), ("preference/dpo_en_demo.first2of3.json", .pair, 200, 0),
            ("preference/dpo_zh_demo.first1of2.json", .pair, 150, 0), ("preference/v1_dpo_demo.jsonl", .pair, 10, 0),
            ("pretrain/c4_demo.jsonl", .answer, 300, 0), ("sft/alpaca_en_demo.json", .answer, 999, 0),
            ("sft/alpaca_zh_demo.first2of3.json", .answer, 666, 0), ("sft/identity.json", .answer, 91, 0),
            ("sft/sharegpt_dummy_conversation.json", .answer, 500, 0), ("sft/v1_sft_demo.jsonl", .answer, 500, 0),
            ("sft/self_instruct_seed_tasks.jsonl", .answer, 0, 175),
            ("toolcall/glaive_toolcall_en_demo.json", .answer, 300, 0),
            ("toolcall/reason_tool_use_demo_50.jsonl", .answer, 50, 0),
        ])
    func filesOfTheEcosystemAreRead(file: String, purpose: RowSchema.Purpose, kept: Int, rejected: Int) throws {
        var causes: [String] = []
        var count = 0
        for item in try drain(FileFeed([(sharedData ?? "") + "/datasets/" + file], formats: formats)) {
            switch item {
            case .reject(let reject): causes.append(reject.cause)
            case .row(let row):
                do throws(Reject) {
                    _ = try RowSchema(purpose).convert(row)
                    count += 1
                } catch { causes.append(error.cause) }
            }
        }
        #expect(count == kept, "\(Set(causes))")
        #expect(causes.count == rejected)
    }
}

/// 1 for answers that hold "keep", 0 for others, a failure for those that hold "broken".
private struct OnlyKeep: RowFunction {
    func judge(_ row: JSON) throws -> Double {
        let answer = row["response"]?.string ?? ""
        if answer.contains("broken") { throw PluginError(.invalid, "the row is broken", at: "response") }
        return answer.contains("keep") ? 1 : 0
    }
}

@Suite struct RowFilterTests {
    @Test func aRowWhoseNumberIsZeroIsLeftOutByTheFiltersName() throws {
        let handle = try #require(
            plugin("tests", version: "0.0.0", nil, nil) { $0.filter("only_keep", OnlyKeep.self, summary: "") })
        var component = mt_component()
        component.struct_size = UInt32(MemoryLayout<mt_component>.size)
        #expect(handle.pointee.component(handle.pointee.ctx, 0, &component, nil) == MT_OK)
        let schema = RowSchema(filters: [try #require(RowJudge(component))])
        func cause(_ answer: String) -> String? {
            do {
                _ = try schema.convert(row(#"{"query": "?", "response": "\#(answer)"}"#))
                return nil
            } catch {
                return error.cause
            }
        }
        #expect(cause("keep") == nil)
        #expect(cause("drop") == "filtered: by only_keep")
        #expect(cause("broken") == "filter failed: only_keep: response: the row is broken")
    }
}
