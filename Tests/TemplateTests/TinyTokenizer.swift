/// One token a character, one for each special token, and one for each of some pairs of characters.
final class TinyTokenizer {
    private let specials: [String]
    private let merges: [String]
    private var ids: [String: Int32] = [:]
    private(set) var pieces: [String] = []

    init(specials: [String] = ["<|im_start|>", "<|im_end|>", "<s>", "</s>"], merges: [String] = []) {
        self.specials = specials
        self.merges = merges
    }

    func encode(_ text: String) -> [Int32] {
        var tokens: [String] = []
        var rest = text.unicodeScalars[...]
        while let first = rest.first {
            if let special = specials.first(where: { rest.starts(with: $0.unicodeScalars) }) {
                tokens.append(special)
                rest = rest.dropFirst(special.unicodeScalars.count)
            } else {
                tokens.append(String(first))
                rest.removeFirst()
            }
        }
        for merge in merges {
            var at = 0
            while at + 1 < tokens.count {
                if tokens[at] + tokens[at + 1] == merge { tokens.replaceSubrange(at...(at + 1), with: [merge]) }
                at += 1
            }
        }
        return tokens.map { token in
            if let id = ids[token] { return id }
            ids[token] = Int32(pieces.count)
            pieces.append(token)
            return Int32(pieces.count - 1)
        }
    }

    /// The text of the tokens whose weight is not 0; turns are set apart by "¦".
    func trained(_ ids: [Int32], _ weights: [Float]) -> String {
        var out = ""
        var gap = false
        for (id, weight) in zip(ids, weights) {
            if weight == 0 {
                gap = !out.isEmpty
            } else {
                if gap { out += "¦" }
                gap = false
                out += pieces[Int(id)]
            }
        }
        return out
    }
}
