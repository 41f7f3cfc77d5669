/// Finding the name that somebody meant.
enum Names {
    /// The words of a model's or dataset's name: "Meta-Llama-3-8B" is meta, llama, 3, 8b; "qwen2.5" is qwen, 2.5.
    static func words(_ name: String) -> [String] {
        var words: [String] = []
        var word: [UnicodeScalar] = []
        func isDigit(_ scalar: UnicodeScalar) -> Bool { (0x30...0x39).contains(scalar.value) }
        func finish() {
            if !word.isEmpty { words.append(Text.make(word)) }
            word = []
        }
        let scalars = Array(Text.lower(name).unicodeScalars)
        for (at, scalar) in scalars.enumerated() {
            let next = at + 1 < scalars.count ? scalars[at + 1] : " "
            // 1_8B and 1.8B are one size; in 2.5_7B the line divides.
            let joins = scalar == "." || (scalar == "_" && word.count == 1)
            if joins, let last = word.last, isDigit(last), isDigit(next) {
                word.append(".")
            } else if !isDigit(scalar), !scalar.properties.isAlphabetic {
                finish()
            } else {
                if let last = word.last, isDigit(scalar), !isDigit(last), last != "." { finish() }
                word.append(scalar)
            }
        }
        finish()
        return words
    }

    /// How far `words` are from `query`: 0 if equal, nil if some word of the query does not come, in order.
    static func distance(_ query: [String], _ words: [String]) -> Double? {
        var at = 0
        var cost = 0.0
        for word in words {
            if at < query.count, query[at] == word {
                at += 1
            } else {
                cost += weight(word)
            }
        }
        return at == query.count ? cost : nil
    }

    /// What a word more than asked for counts. A maker's name says little, another version or size much.
    private static func weight(_ word: String) -> Double {
        if word.unicodeScalars.first.map({ (0x30...0x39).contains($0.value) }) ?? false { return 3 }
        switch word {
        case "meta", "hf", "v", "b", "ai": return 0.25
        case "chat", "instruct", "it": return 0.5
        case "awq", "gptq", "int", "bnb", "fp", "gguf", "mlx", "aqlm": return 4
        default: return 1
        }
    }

    /// The names without those that came before.
    static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    /// The names least edits away, at most `count`.
    static func nearest(to name: String, in names: [String], count: Int = 5) -> [String] {
        let wanted = Array(Text.lower(name).unicodeScalars.prefix(128))
        let scored = unique(names).map { candidate in
            let short = candidate.split(separator: "/").last.map(String.init) ?? candidate
            let whole = name.contains("/") ? candidate : short
            return (candidate, edits(wanted, Array(Text.lower(whole).unicodeScalars.prefix(128))))
        }
        return scored.sorted { $0.1 == $1.1 ? $0.0 < $1.0 : $0.1 < $1.1 }.prefix(count).map(\.0)
    }

    /// Levenshtein's distance.
    private static func edits(_ a: [UnicodeScalar], _ b: [UnicodeScalar]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = Swift.min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
