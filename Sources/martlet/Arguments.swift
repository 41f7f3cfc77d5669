import Host
import JSON

/// A flag that a command takes.
struct Flag {
    enum Kind { case text, integer, number, boolean, list }
    let name: String
    let kind: Kind
    let help: String
    /// Shown in the help, and what the value is when the flag is not given; nil = none.
    let fallback: String?
    /// What a number may be.
    let range: ClosedRange<Double>?
    let aliases: [String]

    init(
        _ name: String, _ kind: Kind = .text, _ help: String, default fallback: String? = nil,
        in range: ClosedRange<Double>? = nil, aliases: [String] = []
    ) {
        self.name = name
        self.kind = kind
        self.help = help
        self.fallback = fallback
        self.range = range
        self.aliases = aliases
    }

    /// What a value has to be, in words.
    var wanted: String {
        let number = kind == .integer ? "a whole number" : "a number"
        guard let range else { return number }
        func text(_ bound: Double) -> String { kind == .integer ? String(Int(bound)) : bound.description }
        return range.upperBound == .greatestFiniteMagnitude
            ? "\(number) of at least \(text(range.lowerBound))"
            : "\(number) from \(text(range.lowerBound)) to \(text(range.upperBound))"
    }

    /// Whether a text is one of the values that the flag takes.
    func takes(_ text: String) -> Bool {
        switch kind {
        case .integer: Int(text).map { range?.contains(Double($0)) ?? true } ?? false
        case .number: Double(text).map { range?.contains($0) ?? true } ?? false
        case .boolean: ["true", "false"].contains(text)
        case .text, .list: true
        }
    }
}

extension ClosedRange<Double> {
    /// All finite numbers that are not below a bound.
    static func from(_ least: Double) -> Self { least ... .greatestFiniteMagnitude }
}

/// What is wrong with a command line.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A command line, checked against a command's flags. Underscores and dashes are alike; lists go by space or comma.
struct Arguments {
    private var values: [String: [String]] = [:]
    private let flags: [Flag]
    /// What is no flag.
    private(set) var positional: [String] = []

    init(_ words: [String], flags: [Flag]) throws {
        self.flags = flags
        var at = 0
        var isPlain = false
        while at < words.count {
            let word = words[at]
            at += 1
            guard word.hasPrefix("--"), !isPlain else {
                positional.append(word)
                continue
            }
            if word == "--" {
                isPlain = true
                continue
            }
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let flag = try Self.find(String(parts[0]), flags)
            var given = parts.count > 1 ? [String(parts[1])] : []
            if given.isEmpty {
                switch flag.kind {
                case .boolean:
                    let next = at < words.count ? words[at] : ""
                    given = ["true", "false"].contains(next) ? [next] : ["true"]
                    if given == [next] { at += 1 }
                case .list:
                    while at < words.count, !words[at].hasPrefix("--") {
                        given.append(words[at])
                        at += 1
                    }
                default:
                    if at < words.count {
                        given = [words[at]]
                        at += 1
                    }
                }
            }
            if flag.kind == .list { given = given.flatMap { $0.split(separator: ",").map(String.init) } }
            guard !given.isEmpty else { throw UsageError("--\(flag.name) wants a value") }
            try Self.check(flag, given)
            values[flag.name] = given
        }
    }

    private static func find(_ spelled: String, _ flags: [Flag]) throws -> Flag {
        let name = normal(spelled)
        if let flag = flags.first(where: { normal($0.name) == name || $0.aliases.contains { normal($0) == name } }) {
            return flag
        }
        let near = nearest(name, in: flags.flatMap { [$0.name] + $0.aliases })
        let hint = near.map { "; did you mean --\($0)" } ?? ""
        throw UsageError("unknown flag --\(spelled)\(hint)")
    }

    private static func normal(_ name: String) -> String { String(name.map { $0 == "-" ? "_" : $0 }) }

    private static func check(_ flag: Flag, _ given: [String]) throws {
        guard !flag.takes(given[0]) else { return }
        let wanted = flag.kind == .boolean ? "true or false" : flag.wanted
        throw UsageError("--\(flag.name) is \"\(given[0])\", wanted \(wanted)")
    }

    func has(_ name: String) -> Bool { values[name] != nil }
    func list(_ name: String) -> [String] {
        values[name] ?? fallback(name)?.split(separator: ",").map(String.init) ?? []
    }
    func text(_ name: String) -> String? { values[name]?.first ?? fallback(name) }
    func int(_ name: String) -> Int? { text(name).flatMap { Int($0) } }
    func double(_ name: String) -> Double? { text(name).flatMap { Double($0) } }
    func bool(_ name: String) -> Bool { text(name) == "true" }

    func required(_ name: String) throws -> String {
        guard let value = text(name) else { throw UsageError("--\(name) is missing") }
        return value
    }

    /// Every flag that has a value, given or not, by its name; a token is nobody else's business.
    var json: JSON {
        var members = JSONObject()
        for flag in flags where flag.name != "hub_token" {
            switch flag.kind {
            case .list where !list(flag.name).isEmpty: members[flag.name] = .array(list(flag.name).map(JSON.string))
            case .integer: members[flag.name] = int(flag.name).map { .int(Int64($0)) }
            case .number: members[flag.name] = double(flag.name).map(JSON.double)
            case .boolean where text(flag.name) != nil: members[flag.name] = .bool(bool(flag.name))
            case .text: members[flag.name] = text(flag.name).map(JSON.string)
            default: break
            }
        }
        return .object(members)
    }

    private func fallback(_ name: String) -> String? { flags.first { $0.name == name }?.fallback }
}
