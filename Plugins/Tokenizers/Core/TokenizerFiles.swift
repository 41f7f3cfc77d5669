import JSON

/// The files that a tokenizer is made from, by name; the bytes are borrowed.
package struct TokenizerFiles {
    package let files: [(name: String, bytes: UnsafeBufferPointer<UInt8>)]

    package init(_ files: [(name: String, bytes: UnsafeBufferPointer<UInt8>)]) { self.files = files }

    package subscript(name: String) -> UnsafeBufferPointer<UInt8>? { files.first { $0.name == name }?.bytes }

    /// The first file whose name ends so.
    package func first(endingIn suffix: String) -> (name: String, bytes: UnsafeBufferPointer<UInt8>)? {
        files.first { $0.name.hasSuffix(suffix) }
    }

    func document(_ name: String) throws(TokenizerError) -> JSON? {
        guard let bytes = self[name] else { return nil }
        do throws(JSONError) {
            return try JSON(parsing: bytes)
        } catch {
            throw TokenizerError(error, in: name)
        }
    }
}

/// The formats that a tokenizer can be read from, found by looking at the files' beginnings.
package enum TokenizerFormat: Equatable, Sendable {
    /// tokenizer.json, by its model's kind; `usesBytes` where GPT-2's alphabet is used.
    case json(model: String, usesBytes: Bool)
    case sentencePiece
    case vocabularyAndMerges
    case wordList
    case tiktoken(String)
    case tekken(String)
    /// GGUF metadata, by tokenizer.ggml.model.
    case gguf(String)

    /// The format of these files, the most telling one first; nil where there is none.
    package static func detect(_ files: TokenizerFiles) -> TokenizerFormat? {
        if let bytes = files["gguf.json"], let model = GGUFVocabulary.model(bytes) { return .gguf(model) }
        if let bytes = files["tokenizer.json"], let found = TokenizerJSON.glance(bytes) { return found }
        if let tekken = files.files.first(where: { $0.name.hasPrefix("tekken") && $0.name.hasSuffix(".json") }) {
            return .tekken(tekken.name)
        }
        if let ranks = files.first(endingIn: ".tiktoken") { return .tiktoken(ranks.name) }
        if let model = files.files.first(where: { $0.name.hasPrefix("tokenizer.model") || $0.name.hasSuffix(".model") })
        {
            // Llama 3 ships a rank file under SentencePiece's name.
            return RankFile.looksLikeOne(model.bytes) ? .tiktoken(model.name) : .sentencePiece
        }
        if files["vocab.json"] != nil, files["merges.txt"] != nil { return .vocabularyAndMerges }
        if files["vocab.txt"] != nil { return .wordList }
        return nil
    }
}

extension TextTokenizer {
    /// Reads a tokenizer from its files.
    package convenience init(_ files: TokenizerFiles) throws(TokenizerError) {
        guard let format = TokenizerFormat.detect(files) else {
            let names = files.files.map(\.name).joined(separator: ", ")
            throw TokenizerError(
                .missingFile,
                "none of the files (\(names.isEmpty ? "none was given" : names)) is a tokenizer; wanted tokenizer.json, "
                    + "tokenizer.model, vocab.json with merges.txt, vocab.txt, a .tiktoken file or GGUF metadata",
                in: "tokenizer")
        }
        var parts = TokenizerParts()
        switch format {
        case .json: try TokenizerJSON.read(files, into: &parts)
        case .sentencePiece: try SentencePieceFile.read(files, into: &parts)
        case .vocabularyAndMerges: try VocabularyAndMerges.read(files, into: &parts)
        case .wordList: try WordVocabulary.read(files, into: &parts)
        case .tiktoken(let name): try RankFile.read(name, files, into: &parts)
        case .tekken(let name): try TekkenFile.read(name, files, into: &parts)
        case .gguf: try GGUFVocabulary.read(files, into: &parts)
        }
        try TokenizerConfig.apply(files, format, to: &parts)
        try self.init(parts)
    }
}
