public import JSON

/// A config.json with reads that name the key that is missing or wrong.
public struct ModelConfig: Sendable {
    public let json: JSON

    public init(_ json: JSON) { self.json = json }

    /// A whole number that must be there and at least `minimum`.
    public func int(_ key: String, minimum: Int = 1) throws -> Int {
        guard let value = json[key], !value.isNull else {
            throw PluginError(.invalid, "\"\(key)\" is missing", at: "config.json")
        }
        guard let number = value.int else { throw wrong(key, value, "a whole number") }
        let limit = Self.tokenCounts.contains(key) ? 1 << 32 : 1 << 22
        guard number >= minimum, number < limit else {
            throw wrong(key, value, "at least \(minimum) and below \(limit)")
        }
        return number
    }

    /// What counts tokens may be large. Sizes are bounded so that the product of any two and a few stays far from overflow.
    private static let tokenCounts: Set<String> = [
        "max_position_embeddings", "original_max_position_embeddings", "n_positions", "seq_length", "model_max_length",
        "sliding_window", "max_window_layers", "local_attention",
    ]

    /// A number of layers: a graph is built from each, so there is a bound to it.
    public func layers(_ key: String = "num_hidden_layers") throws -> Int {
        let number = try int(key)
        guard number <= 1024 else { throw wrong(key, .int(Int64(number)), "at most 1024") }
        return number
    }

    /// `width` times a share from 0 to 1, towards zero.
    public func share(_ key: String, of width: Int, default fallback: Double) throws -> Int {
        let share = try double(key, default: fallback)
        guard 0...1 ~= share else { throw wrong(key, .double(share), "from 0 to 1") }
        return Int(Double(width) * share)
    }

    public func int(_ key: String, default fallback: @autoclosure () throws -> Int) throws -> Int {
        json[key].map(\.isNull) ?? true ? try fallback() : try int(key, minimum: 0)
    }

    public func double(_ key: String, default fallback: @autoclosure () throws -> Double) throws -> Double {
        guard let value = json[key], !value.isNull else { return try fallback() }
        guard let number = value.double else { throw wrong(key, value, "a number") }
        return number
    }

    public func bool(_ key: String, default fallback: Bool) throws -> Bool {
        guard let value = json[key], !value.isNull else { return fallback }
        guard let flag = value.bool else { throw wrong(key, value, "true or false") }
        return flag
    }

    public func string(_ key: String, default fallback: String) throws -> String {
        guard let value = json[key], !value.isNull else { return fallback }
        guard let text = value.string else { throw wrong(key, value, "a text") }
        return text
    }

    private func wrong(_ key: String, _ value: JSON, _ wanted: String) -> PluginError {
        PluginError(.invalid, "\"\(key)\" is \(value.text().prefix(60)), wanted \(wanted)", at: "config.json")
    }

    /// Whether an architecture of the file ends so.
    public func names(_ ending: String) -> Bool {
        json["architectures"]?.array?.contains { $0.string?.hasSuffix(ending) ?? false } ?? false
    }

    /// How many labels a classifier tells apart.
    public func labels() throws -> Int {
        try int("num_labels", default: json["id2label"]?.object?.count ?? 2)
    }

    /// How well the architecture or model type fits: 100 when `architectures` names one of them, 50 by model_type.
    public func score(architectures: [String], modelTypes: [String] = []) -> Int {
        let named = json["architectures"]?.array?.compactMap(\.string) ?? []
        if named.contains(where: architectures.contains) { return 100 }
        if let type = json["model_type"]?.string, modelTypes.contains(type) { return 50 }
        return 0
    }
}
