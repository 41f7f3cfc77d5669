import Testing

@testable import TokenizerCore

@Suite struct StreamDecoderTests {
    /// One token for each byte.
    static func bytewise() throws -> TextTokenizer {
        let vocabulary = (0..<256).map { byte -> String in
            let spelled = String(decoding: ByteAlphabet.spelled([UInt8(byte)]), as: UTF8.self)
            let quoted = ["\"": "\\\"", "\\": "\\\\"][spelled] ?? spelled
            return "\"\(quoted)\":\(byte)"
        }
        return try makeTokenizer(
            json: """
                {"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},\
                "model":{"type":"BPE","merges":[],"vocab":{\(vocabulary.joined(separator: ","))}}}
                """)
    }

    @Test func `A character of several tokens comes whole with its last one`() throws {
        let decoder = StreamDecoder(try Self.bytewise(), skipsSpecial: false)
        let parts = Array("é🦙".utf8).map { decoder.push(Int32($0)) }
        #expect(parts == [[], Array("é".utf8), [], [], [], Array("🦙".utf8)])
        #expect(decoder.finish() == [])
    }

    @Test func `Bytes that are no text become U+FFFD, at once where that is certain and at the end otherwise`() throws {
        let decoder = StreamDecoder(try Self.bytewise(), skipsSpecial: false)
        #expect(decoder.push(0xFF) == UTF8Text.replacement)
        #expect(decoder.push(0xE2) == [])
        #expect(decoder.push(0x41) == UTF8Text.replacement + [0x41])
        #expect(decoder.push(0xF0) == [])
        #expect(decoder.finish() == UTF8Text.replacement)
    }

    @Test func `What a stream gives is what decoding at once gives, for every released tokenizer`() throws {
        guard let texts = try referenceCases() else { return print("skipped: no shared data") }
        for reference in VectorTests.references {
            guard let files = try VectorTests.read(reference) else { continue }
            let tokenizer = try makeTokenizer(files)
            for text in texts {
                let ids = try tokenizer.ids(text, special: true)
                let decoder = StreamDecoder(tokenizer, skipsSpecial: true)
                var streamed: [UInt8] = []
                for id in ids {
                    let part = decoder.push(id)
                    #expect(
                        part.withUnsafeBufferPointer { UTF8Text.isValid($0) },
                        "half a character of \(text.debugDescription)")
                    streamed += part
                }
                streamed += decoder.finish()
                #expect(String(decoding: streamed, as: UTF8.self) == tokenizer.text(ids, skipsSpecial: true))
            }
        }
    }

    @Test func `An id beyond the vocabulary gives no text`() throws {
        let tokenizer = try Self.bytewise()
        #expect(tokenizer.text([0x41, 100_000, -1, 0x42]) == "AB")
        #expect(tokenizer.piece(256) == nil)
        #expect(tokenizer.piece(0x20).map { String(decoding: $0, as: UTF8.self) } == "Ġ")
    }
}
