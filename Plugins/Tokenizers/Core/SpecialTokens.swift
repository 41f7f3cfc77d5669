import JSON

/// The tokens that mean something to a program: what begins and ends a text, stands for the unknown, fills a batch.
package struct SpecialTokens: Sendable, Equatable {
    /// Ids by role: bos, eos, unk, pad, cls, sep, mask, eot.
    package var ids: [String: Int32] = [:]
    /// What is written before and after a text when special tokens are asked for.
    package var prefix: [Int32] = []
    package var suffix: [Int32] = []
    /// Ids that are left out of decoded text beside the added tokens.
    var hidden: [Int32] = []

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
        return .object(JSONObject(members))
    }
}
