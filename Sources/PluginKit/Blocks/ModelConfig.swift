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
        guard number >= minimum, number < 1 << 32 else { throw wrong(key, value, "at least \(minimum)") }
        return number
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
