import Testing

@testable import TokenizerCore

/// Texts and files that were made to hurt.
@Suite struct HostileTests {
    /// A generator whose sequence is the same in every run (SplitMix64).
    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }

    static let texts: [(String, @Sendable (Int) -> [UInt8])] = [
        ("one letter", { Array(repeating: 0x61, count: $0) }),
        ("spaces", { Array(repeating: 0x20, count: $0) }),
        (
            "combining marks",
            { count in Array((0..<count / 2).flatMap { $0 % 2 == 0 ? [0xCC, 0x81] : [0xCC, 0xA3] }) }
        ),
        (
            "letters at random",
            { count in
                var generator = Generator(state: 7)
                return (0..<count).map { _ in UInt8.random(in: 0x61...0x7A, using: &generator) }
            }
        ),
    ]

    @Test func `Ten times the text takes about ten times as long, however it is made`() throws {
        let places = ["gpt2", "mistral-v1", "unigram", "minilm"].compactMap { RandomTextTests.places[$0] }
        for place in places {
            guard let files = try VectorTests.read(.init(name: "", files: [place])) else {
                print("skipped: no file \(place.place)")
                continue
            }
            let tokenizer = try makeTokenizer(files)
            for (name, make) in Self.texts {
                let clock = ContinuousClock()
                func time(_ count: Int) throws -> Duration {
                    let text = make(count)
                    return try clock.measure { _ = try tokenizer.ids(text) }
                }
                _ = try time(20_000)
                let small = try time(200_000)
                let large = try time(2_000_000)
                // Linear is 10; quadratic would be 100. The floor keeps noise in short times out.
                #expect(large < max(small, .milliseconds(20)) * 40, "\(place.place), \(name): \(small) then \(large)")
            }
        }
    }

    static func mutated(_ file: [UInt8], _ generator: inout Generator) -> [UInt8] {
        var file = file
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            guard !file.isEmpty else { break }
            let at = Int.random(in: 0..<file.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: file[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: file[at] = UInt8.random(in: 0...255, using: &generator)
            case 2: file.removeSubrange(at..<min(file.count, at + Int.random(in: 1...64, using: &generator)))
            case 3:
                let part = Array(file[at..<min(file.count, at + Int.random(in: 1...64, using: &generator))])
                file.insert(contentsOf: part, at: Int.random(in: 0...file.count, using: &generator))
            case 4: file.insert(contentsOf: Array("4294967295".utf8), at: at)
            default: file.removeSubrange(at...)
            }
        }
        return file
    }

    /// Reads what was made of a file; where it is still a tokenizer, runs texts through it.
    static func attempt(_ files: [String: [UInt8]]) {
        guard let tokenizer = try? makeTokenizer(files) else { return }
        for text in [
            "The bird's 12 wings\n\n é🦙", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "<s> [CLS]\u{301}\u{FFFD}",
        ] {
            guard let ids = try? tokenizer.ids(text, special: true, parse: true) else { continue }
            _ = tokenizer.text(ids)
        }
        _ = tokenizer.text([0, 1, 2, 3, 255, 256, 1000, -5, .max])
        _ = tokenizer.describe()
    }

    @Test(arguments: [
        "bpe-gpt2", "bpe-llama2", "bpe-clip", "unigram-bytes", "wordpiece-uncased", "added-tokens", "normal-nmt",
        "pre-split-removed",
    ])
    func `A damaged tokenizer.json is refused or read, never a crash`(name: String) throws {
        let file = try golden("parts/\(name).json")
        var generator = Generator(state: 11)
        for _ in 0..<400 { Self.attempt(["tokenizer.json": Self.mutated(file, &generator)]) }
    }

    @Test func `A damaged tokenizer.model is refused or read, never a crash`() throws {
        guard let url = sharedData("tokenizers/sentencepiece/test_model.model") else {
            return print("skipped: no shared data")
        }
        let file = try contents(url)
        var generator = Generator(state: 12)
        for _ in 0..<120 { Self.attempt(["tokenizer.model": Self.mutated(file, &generator)]) }
        // Most of the file is the character map; the pieces and settings are damaged more often here.
        for _ in 0..<300 { Self.attempt(["tokenizer.model": Self.mutated(Array(file.prefix(3000)), &generator)]) }
    }

    @Test func `Damaged rank files, tekken files, word lists and merges are refused or read`() throws {
        let ranks = (0..<256).map { "\(Self.base64([UInt8($0)])) \($0)" }.joined(separator: "\n") + "\naGU= 256\n"
        let tekken =
            #"{"config":{"pattern":"\\p{L}+|.","default_vocab_size":300,"default_num_special_tokens":20},"vocab":["#
            + (0..<256).map { #"{"rank":\#($0),"token_bytes":"\#(Self.base64([UInt8($0)]))"}"# }.joined(separator: ",")
            + "]}"
        var generator = Generator(state: 13)
        for _ in 0..<300 {
            Self.attempt(["x.tiktoken": Self.mutated(Array(ranks.utf8), &generator)])
            Self.attempt(["tekken.json": Self.mutated(Array(tekken.utf8), &generator)])
            Self.attempt(["vocab.txt": Self.mutated(Array("[UNK]\n[CLS]\n[SEP]\nthe\n##s\n".utf8), &generator)])
            Self.attempt([
                "vocab.json": Self.mutated(Array(#"{"a":0,"b":1,"ab":2,"Ġ":3}"#.utf8), &generator),
                "merges.txt": Self.mutated(Array("#version: 0.2\na b\n".utf8), &generator),
            ])
        }
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let value = Int(bytes[0]) << 4
        return "\(letters[value >> 6])\(letters[value & 63])=="
    }

    @Test func `A pattern that backtracks without end is given up with an error`() throws {
        let json = """
            {"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a|aa|aaa)*[bc]"},"behavior":"Isolated","invert":false},\
            "model":{"type":"WordLevel","vocab":{"<unk>":0},"unk_token":"<unk>"}}
            """
        let tokenizer = try makeTokenizer(json: json)
        let clock = ContinuousClock()
        let elapsed = clock.measure {
            #expect(throws: TokenizerError.self) { try tokenizer.ids(String(repeating: "a", count: 4000)) }
        }
        #expect(elapsed < .seconds(5))
    }

    @Test func `Many threads encode with one tokenizer and agree`() async throws {
        let tokenizer = try makeTokenizer(["tokenizer.json": golden("parts/bpe-qwen2.json")])
        let texts = (0..<200).map { "The martlet \($0) flies over hills; it's \($0 * 7) birds 🐦" }
        let wanted = try texts.map { try tokenizer.ids($0) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { try zip(texts, wanted).allSatisfy { try tokenizer.ids($0) == $1 } }
            }
            for try await agrees in group { #expect(agrees) }
        }
    }
}
