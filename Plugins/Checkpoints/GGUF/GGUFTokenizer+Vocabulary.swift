import JSON

extension GGUFTokenizer {
    /// llama.h, `enum llama_token_type`.
    enum Kind: Int64 { case normal = 1, unknown, control, userDefined, unused, byte }

    /// Pieces by id.
    struct Vocabulary {
        var pieces: [String?]
        var kinds: [Kind]
        var scores: [Double]
        var ids: [String: Int] = [:]

        /// llama.cpp's unigram model takes unused pieces too, where they are the likeliest.
        private static let unusedScore = -10000.0

        init(count: Int) {
            let count = min(max(0, count), 1 << 22)
            pieces = Array(repeating: nil, count: count)
            kinds = Array(repeating: .unused, count: count)
            scores = Array(repeating: Self.unusedScore, count: count)
        }

        private mutating func set(_ id: Int, _ piece: String, _ kind: Kind, score: Double = 0) {
            guard id >= 0, id < 1 << 22 else { return }
            while pieces.count <= id {
                pieces.append(nil)
                kinds.append(.unused)
                scores.append(Self.unusedScore)
            }
            (pieces[id], kinds[id], scores[id]) = (piece, kind, score)
            ids[piece] = id
        }

        private func isSet(_ id: Int) -> Bool { pieces.indices.contains(id) && pieces[id] != nil }

        mutating func add(_ document: JSON) {
            for (piece, id) in document["model"]?["vocab"]?.object ?? JSONObject() {
                let isByte = piece.utf8.count == 6 && piece.hasPrefix("<0x") && piece.hasSuffix(">")
                if let id = id.int { set(id, piece, isByte ? .byte : .normal) }
            }
            addSpecials(document)
        }

        /// Pieces with their scores, the id being the place.
        mutating func addScored(_ document: JSON) {
            let unknown = document["model"]?["unk_id"]?.int
            for (id, pair) in (document["model"]?["vocab"]?.array ?? []).enumerated() {
                guard let piece = pair[0]?.string else { continue }
                set(id, piece, id == unknown ? .unknown : .normal, score: pair[1]?.double ?? 0)
            }
            addSpecials(document)
        }

        mutating func addSpecials(_ document: JSON) {
            for added in document["added_tokens"]?.array ?? [] {
                guard let id = added["id"]?.int, let piece = added["content"]?.string else { continue }
                let isUnknown = isSet(id) && kinds[id] == .unknown
                let kind: Kind = isUnknown ? .unknown : added["special"]?.bool == true ? .control : .userDefined
                set(id, piece, kind, score: isSet(id) ? scores[id] : 0)
            }
        }

        mutating func add(_ model: SentencePieces) {
            for (id, piece) in model.pieces.enumerated() {
                set(id, piece.text, Kind(rawValue: Int64(piece.type)) ?? .normal, score: Double(piece.score))
            }
        }

        mutating func rank(_ merges: [JSON]) {
            for (rank, merge) in merges.enumerated() {
                let joined = (merge.string ?? "").replacing(" ", with: "")
                if let id = ids[joined] { scores[id] = -Double(rank + 1) }
            }
        }

        mutating func spellWords() {
            for (id, kind) in kinds.enumerated() where kind == .normal {
                guard let piece = pieces[id] else { continue }
                pieces[id] = piece.hasPrefix("##") ? String(piece.dropFirst(2)) : "\u{2581}" + piece
            }
        }

        func keys(scores wanted: Bool) -> [(String, JSON)] {
            var out: [(String, JSON)] = [
                ("tokenizer.ggml.tokens", .array(pieces.enumerated().map { .string($1 ?? "[PAD\($0)]") })),
                ("tokenizer.ggml.token_type", .array(kinds.map { .int($0.rawValue) })),
            ]
            if wanted { out.append(("tokenizer.ggml.scores", .array(scores.map(JSON.double)))) }
            return out
        }
    }
}
