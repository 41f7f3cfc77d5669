import JSON

/// The tokens that mean something to a program: what begins and ends a text, stands for the unknown, fills a batch.
package struct SpecialTokens: Sendable, Equatable {
    /// Ids by role: bos, eos, unk, pad, cls, sep, mask, eot.
    package var ids: [String: Int32] = [:]
    /// What is written before and after a text when special tokens are asked for.
    package var prefix: [Int32] = []
    package var suffix: [Int32] = []
    /// How two texts stand together, where the file says it.
    var pair: [PairPart] = []
    /// Ids that are left out of decoded text beside the added tokens.
    var hidden: [Int32] = []

    /// A text of a pair, or a token between them, with the type that the model is told.
    enum PairPart: Sendable, Equatable {
        case text(Int, type: Int)
        case token(Int32, type: Int)

        fileprivate var json: JSON {
            switch self {
            case .text(let index, let type): ["text": .int(Int64(index)), "type": .int(Int64(type))]
            case .token(let id, let type): ["id": .int(Int64(id)), "type": .int(Int64(type))]
            }
        }
    }

    /// `[CLS] A [SEP] B [SEP]`, the second text of type 1 (BERT, 1810.04805).
    mutating func setBERTPair(cls: Int32?, sep: Int32?) {
        guard let cls, let sep else { return }
        pair = [
            .token(cls, type: 0), .text(0, type: 0), .token(sep, type: 0), .text(1, type: 1), .token(sep, type: 1),
        ]
    }

    static let roles = ["bos", "eos", "unk", "pad", "cls", "sep", "mask", "eot"]

    package subscript(role: String) -> Int32? {
        get { ids[role] }
        set { ids[role] = newValue }
    }

    func description(type: String, vocabularySize: Int, special: [Int32]) -> JSON {
        var members: [(String, JSON)] = [("type", .string(type)), ("vocab_size", .int(Int64(vocabularySize)))]
        for role in Self.roles { members.append((role, ids[role].map { .int(Int64($0)) } ?? .null)) }
        members.append(("add_bos", .bool(!prefix.isEmpty)))
        members.append(("add_eos", .bool(!suffix.isEmpty)))
        members.append(("special", .array(special.map { .int(Int64($0)) })))
        if !pair.isEmpty { members.append(("pair", .array(pair.map(\.json)))) }
        return .object(JSONObject(members))
    }
}
