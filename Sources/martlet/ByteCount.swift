/// Sizes as people write them.
enum ByteCount {
    private static let units: [(String, Double)] = [
        ("GIB", 1_073_741_824), ("MIB", 1_048_576), ("KIB", 1024), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3), ("G", 1e9),
        ("", 1e9),
    ]

    /// Bytes of a text such as "5GB", "500 MiB" or "16", which means GB.
    static func read(_ text: String, flag: String) throws -> Int {
        let spelled = text.uppercased().filter { $0 != " " }
        guard let unit = units.first(where: { spelled.hasSuffix($0.0) }),
            let number = Double(spelled.dropLast(unit.0.count)), number > 0, number * unit.1 < 1e18
        else { throw UsageError("--\(flag) is \"\(text)\", wanted a size such as 5GB or 500MiB") }
        return max(1, Int(number * unit.1))
    }
}
