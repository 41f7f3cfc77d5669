import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    static let tokenizer = kindCase(
        "tokenizer", MT_KIND_TOKENIZER, claim: "a source without files, and damaged files, are refused"
    ) {
        component, _ in
        let table = component.table(mt_tokenizer_table())
        var empty = mt_tokenizer_source()
        empty.struct_size = UInt32(MemoryLayout<mt_tokenizer_source>.size)
        let score = table.probe(component.context, &empty)
        if score != 0 { throw Breach("probe of an empty source is \(score), wanted 0") }
        var none: OpaquePointer?
        try Ask.refusal("open of an empty source") { table.open(component.context, &empty, &none, $0) }
        for source in TokenizerSource.all {
            for (damage, bytes) in SuiteFiles.damaged(source.bytes) {
                try TokenizerSuite(component, table).open(source.name, bytes, "\(source.name), \(damage)") { _ in }
            }
        }
    }

    static let tokenizerRoundTrip = kindCase(
        "tokenizer-round-trip", MT_KIND_TOKENIZER, claim: "text comes back from its ids, at once and piece by piece"
    ) { component, _ in
        let suite = TokenizerSuite(component, component.table(mt_tokenizer_table()))
        var count = 0
        for source in TokenizerSource.all {
            try suite.open(source.name, source.bytes, source.name) { tokenizer in
                count += 1
                for text in source.isExact ? TokenizerSource.texts : TokenizerSource.plainTexts {
                    try suite.roundTrip(tokenizer, text, isExact: source.isExact, source.name)
                }
                try suite.checkVocabulary(tokenizer, source.name)
                try suite.shareAndInterleave(tokenizer, source.name)
            }
        }
        for source in TokenizerSource.all {
            try Ask.balance("\(source.name): opening and closing a tokenizer", times: 60) {
                try suite.open(source.name, source.bytes, source.name) { _ in }
            }
        }
        if count == 0 {
            throw Skip(reason: "it reads none of the suite's tokenizer.json, tokenizer.model, vocab.txt, .tiktoken")
        }
    }
}

/// Tokenizers of all bytes and a few merges, in the published file formats.
private struct TokenizerSource {
    let name: String
    let bytes: [UInt8]
    /// Every text comes back as it was.
    let isExact: Bool

    static let texts = [
        "", "hello world", "  two  spaces\n\tand a tab ", "Grüße, 世界! 🙂", "a\u{301} \u{200D} \u{FEFF}x",
        "1234567890 3.14e-5",
        String(repeating: "la ", count: 300),
    ]
    /// What a list of words and letters can spell.
    static let plainTexts = ["", "hello world", "la la la", "x y2"]
    static let all = [
        TokenizerSource(name: "tokenizer.json", bytes: Array(byteLevel.text().utf8), isExact: true),
        TokenizerSource(name: "suite.tiktoken", bytes: Array(ranks.utf8), isExact: true),
        TokenizerSource(name: "tokenizer.model", bytes: sentencePiece, isExact: true),
        TokenizerSource(name: "vocab.txt", bytes: Array(wordList.utf8), isExact: false),
    ]

    /// GPT-2's spelling of bytes: those that print stand for themselves, the others follow from 256.
    private static let spelling: [String] = {
        var spare: UInt32 = 256
        return (0..<256).map { byte in
            if 33...126 ~= byte || 161...172 ~= byte || 174...255 ~= byte { return String(Unicode.Scalar(UInt8(byte))) }
            defer { spare += 1 }
            return Unicode.Scalar(spare).map { String($0) } ?? ""
        }
    }()

    private static let byteLevel: JSON = {
        var vocabulary = JSONObject()
        for piece in spelling + ["he", "ll", "Ġw"] { vocabulary[piece] = .int(Int64(vocabulary.count)) }
        let level: JSON = ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true]
        return [
            "version": "1.0", "added_tokens": [], "normalizer": .null, "pre_tokenizer": level, "post_processor": .null,
            "decoder": level,
            "model": [
                "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
                "end_of_word_suffix": .null, "fuse_unk": false, "byte_fallback": false, "vocab": .object(vocabulary),
                "merges": ["h e", "l l", "Ġ w"],
            ],
        ]
    }()

    /// A line a token: its bytes in base64 and its rank.
    private static let ranks: String = {
        let tokens = (0..<256).map { [UInt8($0)] } + [Array("he".utf8), Array("ll".utf8), Array(" w".utf8)]
        return tokens.enumerated().map { "\(Base64.encoded($1)) \($0)\n" }.joined()
    }()

    /// sentencepiece_model.proto: pieces (1) of text (1), score (2) and type (3); trainer_spec (2) with model_type (3) = BPE
    /// and byte_fallback (35); normalizer_spec (3) that leaves texts alone: name (1), add_dummy_prefix (3) and
    /// remove_extra_whitespaces (4) off.
    private static let sentencePiece: [UInt8] = {
        func varint(_ value: Int) -> [UInt8] {
            value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
        }
        func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] { varint(number << 3 | 2) + varint(bytes.count) + bytes }
        func number(_ number: Int, _ value: Int) -> [UInt8] { varint(number << 3) + varint(value) }
        func piece(_ text: String, _ score: Float, _ type: Int) -> [UInt8] {
            field(
                1,
                field(1, Array(text.utf8)) + [0x15] + withUnsafeBytes(of: score.bitPattern.littleEndian) { Array($0) }
                    + number(3, type))
        }
        let hex = Array("0123456789ABCDEF")
        var model = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3)
        for byte in 0..<256 { model += piece("<0x\(hex[byte >> 4])\(hex[byte & 15])>", 0, 6) }
        for (i, text) in (["▁"] + "helowrdan".map { String($0) } + ["he", "ll"]).enumerated() {
            model += piece(text, -Float(i), 1)
        }
        return model + field(2, number(3, 2) + number(35, 1))
            + field(3, field(1, Array("identity".utf8)) + number(3, 0) + number(4, 0))
    }()

    private static let wordList: String = {
        let letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!-".map { String($0) }
        return
            (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + letters.map { "##" + $0 } + [
                "hello", "wor", "##ld",
            ])
            .joined(separator: "\n") + "\n"
    }()
}

/// Calls of one tokenizer plugin.
private struct TokenizerSuite {
    let component: Component
    let table: mt_tokenizer_table
    private var context: UnsafeMutableRawPointer? { component.context }

    init(_ component: Component, _ table: mt_tokenizer_table) {
        (self.component, self.table) = (component, table)
    }

    /// Runs `body` with the tokenizer of a file, if the plugin takes it.
    func open(_ name: String, _ bytes: [UInt8], _ what: String, _ body: (OpaquePointer?) throws -> Void) throws {
        var tokenizer: OpaquePointer?
        var isOpen = false
        try Borrowed.lend(name) { name in
            try Borrowed.lend(bytes) { bytes in
                var file = mt_named_bytes(name: name, bytes: bytes)
                try withUnsafePointer(to: &file) { files in
                    var source = mt_tokenizer_source()
                    source.struct_size = UInt32(MemoryLayout<mt_tokenizer_source>.size)
                    source.file_count = 1
                    source.files = files
                    let score = table.probe(context, &source)
                    try Ask.score("\(what): probe", score)
                    if score == 0 { return }
                    isOpen = try Ask.accepts("\(what): open") { table.open(context, &source, &tokenizer, $0) }
                }
            }
        }
        guard isOpen else { return }
        defer { table.close(context, tokenizer) }
        try body(tokenizer)
    }

    func roundTrip(_ tokenizer: OpaquePointer?, _ text: String, isExact: Bool, _ source: String) throws {
        let ids = try encode(tokenizer, text)
        let once = try decode(tokenizer, ids)
        let wanted = isExact ? text : try decode(tokenizer, try encode(tokenizer, once))
        guard Array(once.utf8) == Array(wanted.utf8) else {
            throw Breach(
                "\(source): \"\(text.prefix(30))\" comes back as \"\(once.prefix(30))\" from \(ids.prefix(12))")
        }
        let streamed = try stream(tokenizer, ids)
        guard Array(streamed.utf8) == Array(once.utf8) else {
            throw Breach("\(source): piece by piece \"\(once.prefix(30))\" is \"\(streamed.prefix(30))\"")
        }
    }

    func checkVocabulary(_ tokenizer: OpaquePointer?, _ source: String) throws {
        guard let size = try Ask.json("describe", { table.describe(context, tokenizer, $0, $1) })?["vocab_size"]?.int,
            size > 0
        else {
            throw Breach("\(source): describe names no vocab_size")
        }
        for id in [Int32(-1), Int32(size), Int32.max] {
            var isFound = false
            _ = try collected { sink in
                isFound = try Ask.accepts("piece") { table.piece(context, tokenizer, id, sink, $0) }
            }
            if isFound { throw Breach("\(source): there is a piece \(id), and vocab_size is \(size)") }
        }
    }

    /// One tokenizer for several threads, and several decoders of one tokenizer.
    func shareAndInterleave(_ tokenizer: OpaquePointer?, _ source: String) throws {
        let text = TokenizerSource.plainTexts.joined(separator: " ")
        try Ask.together("\(source): encode") { try encode(tokenizer, text) }
        let ids = try encode(tokenizer, text)
        let wanted = try stream(tokenizer, ids)
        var decoders: [OpaquePointer?] = [nil, nil]
        for i in decoders.indices {
            try Ask.demand("decoder_open") { table.decoder_open(context, tokenizer, 0, &decoders[i], $0) }
        }
        defer { for decoder in decoders { table.decoder_close(context, decoder) } }
        var texts = ["", ""]
        for id in ids {
            for (i, decoder) in decoders.enumerated() {
                texts[i] += try self.text("decoder_push") { table.decoder_push(context, decoder, id, $0, $1) }
            }
        }
        for (i, decoder) in decoders.enumerated() {
            texts[i] += try self.text("decoder_finish") { table.decoder_finish(context, decoder, $0, $1) }
            if texts[i] != wanted { throw Breach("\(source): two decoders at once disturb each other") }
        }
    }

    private func encode(_ tokenizer: OpaquePointer?, _ text: String) throws -> [Int32] {
        let bytes = try answer("encode") { sink, error in
            try Borrowed.lend(text) { table.encode(context, tokenizer, $0, 0, sink, error) }
        }
        guard bytes.count % 4 == 0 else { throw Breach("encode wrote \(bytes.count) bytes, wanted a multiple of 4") }
        return bytes.withUnsafeBytes { raw in
            (0..<bytes.count / 4).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self) }
        }
    }

    private func decode(_ tokenizer: OpaquePointer?, _ ids: [Int32]) throws -> String {
        try text("decode") { sink, error in table.decode(context, tokenizer, ids, ids.count, 0, sink, error) }
    }

    private func stream(_ tokenizer: OpaquePointer?, _ ids: [Int32]) throws -> String {
        var decoder: OpaquePointer?
        try Ask.demand("decoder_open") { table.decoder_open(context, tokenizer, 0, &decoder, $0) }
        defer { table.decoder_close(context, decoder) }
        var all = ""
        for id in ids { all += try text("decoder_push") { table.decoder_push(context, decoder, id, $0, $1) } }
        return all + (try text("decoder_finish") { table.decoder_finish(context, decoder, $0, $1) })
    }

    /// What was written, each time whole characters.
    private func text(_ what: String, _ call: (mt_sink, UnsafeMutablePointer<mt_error>) throws -> mt_status) throws
        -> String
    {
        let bytes = try answer(what, call)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Breach("\(what) wrote a part of a character")
        }
        return text
    }

    private func answer(_ what: String, _ call: (mt_sink, UnsafeMutablePointer<mt_error>) throws -> mt_status) throws
        -> [UInt8]
    {
        var bytes: [UInt8] = []
        try Ask.demand(what) { error in
            var status = MT_OK
            bytes = try collected { status = try call($0, error) }
            return status
        }
        return bytes
    }
}
