import Files
internal import JSON

/// A GGUF vocabulary of SentencePiece's pieces as tokenizer.model: the message `ModelProto` of
/// github.com/google/sentencepiece, sentencepiece_model.proto.
struct SentencePieceModel {
    private(set) var bytes: [UInt8] = []
    private var config = JSON.null

    /// - Parameter document: The file's `tokenizer.ggml.*`; nil for vocabularies of other kinds.
    init?(_ document: JSON) {
        func entry(_ name: String) -> JSON? { document["tokenizer.ggml." + name] }
        guard entry("model")?.string == "llama", let tokens = entry("tokens")?.array else { return nil }
        let scores = entry("scores")?.array ?? [], types = entry("token_type")?.array ?? []
        var hasBytes = false
        for (id, token) in tokens.enumerated() {
            guard let text = token.string else { return nil }
            // Both number their kinds alike: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
            let type = types.indices.contains(id) ? types[id].int ?? 1 : 1
            hasBytes = hasBytes || type == 6
            var piece = SentencePieceModel()
            piece.add(1, Array(text.utf8))
            piece.add(2, Float(scores.indices.contains(id) ? scores[id].double ?? 0 : 0))
            piece.add(3, type)
            add(1, piece.bytes)
        }
        var trainer = SentencePieceModel()
        // BPE.
        trainer.add(3, 2)
        trainer.add(4, tokens.count)
        trainer.add(35, hasBytes ? 1 : 0)
        for (field, name) in [(40, "unknown"), (41, "bos"), (42, "eos"), (43, "padding")] {
            // -1 stands for none, and is what a reader takes for granted of no field but padding's.
            trainer.add(field, entry("\(name)_token_id")?.int ?? -1)
        }
        add(2, trainer.bytes)
        var normalizer = SentencePieceModel()
        normalizer.add(1, Array("identity".utf8))
        normalizer.add(3, entry("add_space_prefix")?.bool ?? true ? 1 : 0)
        normalizer.add(4, entry("remove_extra_whitespaces")?.bool ?? false ? 1 : 0)
        normalizer.add(5, 1)
        add(3, normalizer.bytes)
        func piece(_ name: String) -> JSON {
            guard let id = entry(name)?.int, tokens.indices.contains(id) else { return .null }
            return tokens[id]
        }
        config = [
            "bos_token": piece("bos_token_id"), "eos_token": piece("eos_token_id"),
            "unk_token": piece("unknown_token_id"),
            "pad_token": piece("padding_token_id"), "add_bos_token": entry("add_bos_token") ?? true,
            "add_eos_token": entry("add_eos_token") ?? false, "legacy": false,
            "clean_up_tokenization_spaces": false,
        ]
    }

    /// Writes tokenizer.model and tokenizer_config.json.
    /// - Parameter modelType: config.json's; Gemma's models have a tokenizer class of their own.
    func write(to directory: String, modelType: String) throws {
        let path = System.join(directory, "tokenizer.model")
        let file = try ReplacementFile(path)
        try file.write(bytes, at: 0)
        try file.flush()
        try file.place()
        var settings = config.object ?? JSONObject()
        settings["tokenizer_class"] = modelType.hasPrefix("gemma") ? "GemmaTokenizer" : "LlamaTokenizer"
        try JSON.object(settings).write(to: System.join(directory, "tokenizer_config.json"))
    }

    // MARK: Protobuf (protobuf.dev, "Encoding")

    private init() {}

    private mutating func add(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func add(_ field: Int, _ number: Int) {
        add(varint: UInt64(field) << 3)
        add(varint: UInt64(bitPattern: Int64(number)))
    }

    private mutating func add(_ field: Int, _ number: Float) {
        add(varint: UInt64(field) << 3 | 5)
        withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func add(_ field: Int, _ data: [UInt8]) {
        add(varint: UInt64(field) << 3 | 2)
        add(varint: UInt64(data.count))
        bytes.append(contentsOf: data)
    }
}
