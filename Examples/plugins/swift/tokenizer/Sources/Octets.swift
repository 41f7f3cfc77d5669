import JSON
import PluginKit

/// A token for each byte of UTF-8, as ByT5 has them (Xue et al. 2021, 2105.13626): 0 pad, 1 end, 2 unknown, 3 + byte.
final class Octets: Tokenizer {
    private static let end: Int32 = 1
    private static let first: Int32 = 3
    static let special = ["<pad>", "</s>", "<unk>"]

    /// A directory asks for it with "tokenizer_class": "ByT5Tokenizer".
    static func probe(_ source: TokenizerSource) -> Int {
        guard let bytes = source["tokenizer_config.json"], let config = try? JSON(parsing: bytes) else { return 0 }
        return config["tokenizer_class"]?.string == "ByT5Tokenizer" ? 100 : 0
    }

    init(source: TokenizerSource) throws {
        guard Self.probe(source) > 0 else {
            throw PluginError(
                .invalid, "found no ByT5Tokenizer, wanted that tokenizer_class", at: "tokenizer_config.json")
        }
    }

    func encode(_ text: UnsafeBufferPointer<UInt8>, _ options: EncodeOptions) -> [Int32] {
        // Through String, which puts U+FFFD for what is no UTF-8.
        let ids = String(decoding: text, as: UTF8.self).utf8.map { Self.first + Int32($0) }
        return options.contains(.addSpecial) ? ids + [Self.end] : ids
    }

    func decode(_ ids: UnsafeBufferPointer<Int32>, skipSpecial: Bool) throws -> [UInt8] {
        let decoder = OctetDecoder(skipSpecial: skipSpecial)
        return try ids.flatMap { try decoder.push($0) } + decoder.finish()
    }

    func makeDecoder(skipSpecial: Bool) -> any TokenDecoder { OctetDecoder(skipSpecial: skipSpecial) }

    func piece(_ id: Int32) -> [UInt8]? {
        switch id {
        case 0..<Self.first: Array(Self.special[Int(id)].utf8)
        case Self.first..<Self.first + 256: [UInt8(id - Self.first)]
        default: nil
        }
    }

    func id(of piece: UnsafeBufferPointer<UInt8>) -> Int32? {
        if piece.count == 1 { return Self.first + Int32(piece[0]) }
        return Self.special.firstIndex { $0.utf8.elementsEqual(piece) }.map(Int32.init)
    }

    func describe() -> String {
        let about: JSON = [
            "type": "bytes", "vocab_size": 259, "bos": .null, "eos": 1, "unk": 2, "pad": 0, "add_bos": false,
            "add_eos": true,
            "special": [0, 1, 2],
        ]
        return about.text()
    }
}

/// Holds a character's bytes back until the last of them is there.
final class OctetDecoder: TokenDecoder {
    private let skipSpecial: Bool
    private var held: [UInt8] = []

    init(skipSpecial: Bool) { self.skipSpecial = skipSpecial }

    func push(_ id: Int32) throws -> [UInt8] {
        guard 0..<259 ~= id else { throw PluginError(.notFound, "the vocabulary has no token \(id)") }
        if id < 3 { return try finish() + (skipSpecial ? [] : Array(Octets.special[Int(id)].utf8)) }
        held.append(UInt8(id - 3))
        let lead = held[0]
        let wanted = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 1
        let isContinued = held.count == 1 || held[held.count - 1] & 0xC0 == 0x80
        return held.count >= wanted || !isContinued ? try finish() : []
    }

    func finish() throws -> [UInt8] {
        defer { held = [] }
        return Array(String(decoding: held, as: UTF8.self).utf8)
    }
}
