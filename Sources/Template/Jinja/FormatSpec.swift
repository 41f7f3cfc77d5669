/// How a value is laid out: `[[fill]align][sign][#][0][width][,][.precision][type]`.
/// Python library reference, "Format Specification Mini-Language".
struct FormatSpec {
    var fill: UnicodeScalar = " "
    var align: UnicodeScalar?
    var sign: UnicodeScalar = "-"
    var alternate = false
    var zeroPadded = false
    var width = 0
    var grouping: UnicodeScalar?
    var precision: Int?
    var type: Character?
    /// printf-style formats align texts to the right.
    var isPercent = false

    init() {}

    var isPlain: Bool { width == 0 && align == nil && precision == nil && type == nil && grouping == nil }

    init(parsing text: String) throws(Fault) {
        var rest = Array(text.unicodeScalars)[...]
        let aligns: Set<UnicodeScalar> = ["<", ">", "=", "^"]
        if rest.count > 1, aligns.contains(rest[rest.startIndex + 1]) {
            fill = rest.removeFirst()
            align = rest.removeFirst()
        } else if let first = rest.first, aligns.contains(first) {
            align = rest.removeFirst()
        }
        if let first = rest.first, "+- ".unicodeScalars.contains(first) { sign = rest.removeFirst() }
        if rest.first == "#" {
            alternate = true
            rest.removeFirst()
        }
        if rest.first == "0" {
            zeroPadded = align == nil
            rest.removeFirst()
        }
        func number() throws(Fault) -> Int? {
            var value: Int?
            while let digit = rest.first, (0x30...0x39).contains(digit.value) {
                value = (value ?? 0) * 10 + Int(digit.value - 0x30)
                if value ?? 0 > 1 << 31 { throw .value("Too many decimal digits in format string") }
                rest.removeFirst()
            }
            return value
        }
        width = try number() ?? 0
        if let first = rest.first, first == "," || first == "_" { grouping = rest.removeFirst() }
        if rest.first == "." {
            rest.removeFirst()
            guard let places = try number() else { throw .value("Format specifier missing precision") }
            precision = places
        }
        if let last = rest.popFirst() { type = Character(last) }
        if !rest.isEmpty { throw .value("Invalid format specifier '\(text)'") }
    }

    func cut(_ text: String) -> String {
        guard let precision else { return text }
        return Text.make(text.unicodeScalars.prefix(precision))
    }

    /// Fills `text` up to the width.
    func padded(_ text: String, numeric: Bool, limit: Int) throws(Fault) -> String {
        if width > limit { throw Fault(.budget, "the width of a format is beyond \(limit)") }
        let missing = width - text.unicodeScalars.count
        if missing <= 0 { return text }
        let place = align ?? (zeroPadded ? "=" : numeric || isPercent ? ">" : "<")
        let filler = zeroPadded && align == nil ? "0" : String(fill)
        func run(_ count: Int) -> String { String(repeating: filler, count: count) }
        switch place {
        case "<": return text + run(missing)
        case "^": return run(missing / 2) + text + run(missing - missing / 2)
        case "=":
            let signs = text.prefix(while: { $0 == "-" || $0 == "+" || $0 == " " })
            return signs + run(missing) + text.dropFirst(signs.count)
        default: return run(missing) + text
        }
    }

    func formatted(_ value: Int, limit: Int) throws(Fault) -> String {
        var digits: String
        var prefix = ""
        switch type ?? "d" {
        case "d", "n": digits = String(value.magnitude)
        case "x", "X":
            digits = String(value.magnitude, radix: 16, uppercase: type == "X")
            if alternate { prefix = type == "X" ? "0X" : "0x" }
        case "o":
            digits = String(value.magnitude, radix: 8)
            if alternate { prefix = "0o" }
        case "b":
            digits = String(value.magnitude, radix: 2)
            if alternate { prefix = "0b" }
        case "c":
            guard let scalar = UInt32(exactly: value).flatMap(UnicodeScalar.init) else {
                throw .value("%c arg not in range(0x110000)")
            }
            return try padded(String(scalar), numeric: false, limit: limit)
        case let other: throw .value("Unknown format code '\(other)' for object of type 'int'")
        }
        if isPercent, let precision, digits.count < precision {
            if precision > limit { throw Fault(.budget, "the precision of a format is beyond \(limit)") }
            digits = String(repeating: "0", count: precision - digits.count) + digits
        }
        return try padded(signed(prefix + grouped(digits), value < 0), numeric: true, limit: limit)
    }

    func formatted(_ value: Double, limit: Int) throws(Fault) -> String {
        if let precision, precision > 1_000 { throw .value("the precision of a float's format is beyond 1000") }
        var text: String
        switch type {
        case nil:
            guard let precision else {
                text = Numbers.representation(value.magnitude)
                break
            }
            // Without a type: as 'g', but at least one digit follows the point.
            text = Numbers.formatted(value.magnitude, "g", precision: Swift.max(precision, 1))
            if value.isFinite, !text.contains("."), !text.contains("e") { text += ".0" }
        case "%": text = Numbers.formatted(value.magnitude * 100, "f", precision: precision ?? 6) + "%"
        case "e", "E", "f", "F", "g", "G", "n":
            let conversion: Character = type == "n" ? "g" : Character((type ?? "g").lowercased())
            let places = precision ?? 6
            text = Numbers.formatted(value.magnitude, conversion, precision: places, keepsPoint: alternate)
            if type?.isUppercase ?? false { text = text.uppercased() }
        case let other?: throw .value("Unknown format code '\(other)' for object of type 'float'")
        }
        if grouping != nil {
            let whole = text.prefix(while: \.isNumber)
            text = grouped(String(whole)) + text.dropFirst(whole.count)
        }
        return try padded(signed(text, value.sign == .minus && !value.isNaN), numeric: true, limit: limit)
    }

    private func signed(_ text: String, _ negative: Bool) -> String {
        negative ? "-" + text : sign == "-" ? text : String(sign) + text
    }

    private func grouped(_ digits: String) -> String {
        guard let grouping else { return digits }
        var out = ""
        for (at, digit) in digits.enumerated() {
            if at > 0, (digits.count - at) % 3 == 0 { out.unicodeScalars.append(grouping) }
            out.append(digit)
        }
        return out
    }
}
