import Files
import JSON

extension GGUFTokenizer {
    /// What is done to a text before it is cut into the pieces of a unigram model, as far as GGUF can say it.
    struct UnigramText {
        /// SentencePiece's precompiled map of characters; empty: none.
        private(set) var charsMap: [UInt8] = []
        private(set) var addsSpace = false
        private(set) var removesExtraSpaces = false

        init(_ model: SentencePieces, _ path: String) throws(FileError) {
            guard !model.hasByteFallback else { throw Self.byteFallback(path) }
            guard !model.spaceIsSuffix else {
                throw FileError(
                    path, "trainer_spec.treat_whitespace_as_suffix", found: "true", wanted: "false", fix: Self.fix)
            }
            charsMap = model.charsMap
            addsSpace = model.addsDummyPrefix
            removesExtraSpaces = model.removesExtraSpaces
        }

        /// - Parameter document: tokenizer.json, in the parts that transformers makes of a SentencePiece model.
        init(_ document: JSON, _ path: String) throws(FileError) {
            guard document["model"]?["byte_fallback"]?.bool != true else { throw Self.byteFallback(path) }
            for step in steps(document["normalizer"] ?? .null) where !step.isNull {
                switch step["type"]?.string {
                case "Precompiled":
                    guard let map = Base64.decoded((step["precompiled_charsmap"]?.string ?? "").utf8) else {
                        throw FileError(path, "normalizer.precompiled_charsmap", found: "no base64", wanted: "base64")
                    }
                    charsMap = map
                case "Replace" where step["pattern"]?["Regex"]?.string == " {2,}": removesExtraSpaces = true
                case "Strip" where step["strip_left"]?.bool == false: continue
                default:
                    throw FileError(
                        path, "normalizer", found: String(step.text().prefix(120)),
                        wanted: "Precompiled, and Replace of spaces", fix: Self.fix)
                }
            }
            var marksSpaces = false
            for step in steps(document["pre_tokenizer"] ?? .null) {
                switch step["type"]?.string {
                case "Metaspace":
                    marksSpaces = true
                    addsSpace =
                        step["prepend_scheme"].map { $0 != "never" } ?? step["add_prefix_space"]?.bool ?? true
                case "WhitespaceSplit": removesExtraSpaces = true
                default: marksSpaces = false
                }
                guard marksSpaces || step["type"] == "WhitespaceSplit" else { break }
            }
            guard marksSpaces else {
                throw FileError(
                    path, "pre_tokenizer", found: String((document["pre_tokenizer"]?.text() ?? "nothing").prefix(120)),
                    wanted: "Metaspace", fix: Self.fix)
            }
        }

        private static let fix = "GGUF files cannot hold this tokenizer; write safetensors."

        private static func byteFallback(_ path: String) -> FileError {
            FileError(
                path, "byte_fallback", found: "true", wanted: "false",
                fix: "llama.cpp knows no bytes to fall back on in a unigram model; write safetensors.")
        }
    }

    /// llama.cpp names the kind by the model that it read first with it, T5.
    static func unigram(_ text: UnigramText, _ vocabulary: Vocabulary) -> [(String, JSON)] {
        var out: [(String, JSON)] = [("tokenizer.ggml.model", "t5"), ("tokenizer.ggml.pre", "default")]
        out += vocabulary.keys(scores: true)
        out.append(("tokenizer.ggml.add_space_prefix", .bool(text.addsSpace)))
        out.append(("tokenizer.ggml.remove_extra_whitespaces", .bool(text.removesExtraSpaces)))
        if !text.charsMap.isEmpty {
            out.append(("tokenizer.ggml.precompiled_charsmap", .array(text.charsMap.map { .int(Int64($0)) })))
        }
        return out
    }
}
