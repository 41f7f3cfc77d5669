/// Python's `str` operations over code points. Swift's own work on grapheme clusters, which tokens know nothing of.
enum Text {
    typealias Scalars = String.UnicodeScalarView

    /// Equal code points; Swift's `==` would also call canonically equivalent texts equal.
    static func equal(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }

    /// Order by code points, which is the order of UTF-8 bytes.
    static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    static func make<S: Sequence>(_ scalars: S) -> String where S.Element == UnicodeScalar {
        var view = Scalars()
        view.append(contentsOf: scalars)
        return String(view)
    }

    // MARK: Whitespace

    /// Python's `str.isspace` for one character: bidirectional type WS, B or S, or category Zs.
    static func isSpace(_ scalar: UnicodeScalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
            return true
        default: return false
        }
    }

    /// Python's line boundaries for `splitlines`.
    static func isLineEnd(_ scalar: UnicodeScalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: return true
        default: return false
        }
    }

    static func strip(
        _ text: String, left: Bool = true, right: Bool = true, where drops: (UnicodeScalar) -> Bool = isSpace
    ) -> String {
        let scalars = text.unicodeScalars
        var start = scalars.startIndex
        var end = scalars.endIndex
        if left { while start < end, drops(scalars[start]) { start = scalars.index(after: start) } }
        if right {
            while start < end {
                let before = scalars.index(before: end)
                guard drops(scalars[before]) else { break }
                end = before
            }
        }
        return start == scalars.startIndex && end == scalars.endIndex ? text : String(scalars[start..<end])
    }

    // MARK: Search

    /// Byte offset of `needle` in `bytes` at or after `from`; linear in both, whatever they hold.
    static func find(_ needle: [UInt8], in bytes: [UInt8], from: Int = 0) -> Int? {
        if needle.isEmpty { return from <= bytes.count ? from : nil }
        guard needle.count <= bytes.count - from else { return nil }
        if needle.count <= 8 {
            var at = from
            while at <= bytes.count - needle.count {
                if bytes[at] == needle[0], bytes[at..<(at + needle.count)].elementsEqual(needle) { return at }
                at += 1
            }
            return nil
        }
        // Knuth, Morris and Pratt: how much of the needle still matches after a mismatch at each place.
        var borders = [0]
        borders.reserveCapacity(needle.count)
        for byte in needle.dropFirst() {
            var border = borders[borders.count - 1]
            while border > 0, needle[border] != byte { border = borders[border - 1] }
            borders.append(needle[border] == byte ? border + 1 : 0)
        }
        var matched = 0
        for at in from..<bytes.count {
            while matched > 0, needle[matched] != bytes[at] { matched = borders[matched - 1] }
            if needle[matched] == bytes[at] { matched += 1 }
            if matched == needle.count { return at + 1 - matched }
        }
        return nil
    }

    /// Byte offset of the last `needle` in `bytes`.
    static func findLast(_ needle: [UInt8], in bytes: [UInt8]) -> Int? {
        find(needle.reversed(), in: bytes.reversed()).map { bytes.count - $0 - needle.count }
    }

    static func contains(_ text: String, _ needle: String) -> Bool {
        find(Array(needle.utf8), in: Array(text.utf8)) != nil
    }

    static func hasPrefix(_ text: String, _ prefix: String) -> Bool { text.utf8.starts(with: prefix.utf8) }

    static func hasSuffix(_ text: String, _ suffix: String) -> Bool {
        text.utf8.count >= suffix.utf8.count && text.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }

    static func string(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    // MARK: Split and replace

    /// `str.split(separator, limit)`, or `rsplit`; a limit below 0 is none. The separator is not empty.
    static func split(_ text: String, _ separator: String, limit: Int, fromRight: Bool = false) -> [String] {
        let bytes = Array(text.utf8)
        let needle = Array(separator.utf8)
        var parts: [String] = []
        if fromRight {
            let backwards: [UInt8] = bytes.reversed()
            let reversed: [UInt8] = needle.reversed()
            var end = bytes.count
            while limit < 0 || parts.count < limit, let at = find(reversed, in: backwards, from: bytes.count - end) {
                let found = bytes.count - at - needle.count
                parts.append(string(bytes[(found + needle.count)..<end]))
                end = found
            }
            parts.append(string(bytes[..<end]))
            return parts.reversed()
        }
        var start = 0
        while limit < 0 || parts.count < limit, let at = find(needle, in: bytes, from: start) {
            parts.append(string(bytes[start..<at]))
            start = at + needle.count
        }
        parts.append(string(bytes[start...]))
        return parts
    }

    /// `str.split()` on runs of whitespace.
    static func splitWords(_ text: String, limit: Int, fromRight: Bool = false) -> [String] {
        var parts: [String] = []
        var rest = Substring(strip(text)).unicodeScalars
        if fromRight {
            if limit >= 0 { rest = Substring(strip(text, left: false)).unicodeScalars }
            while !rest.isEmpty {
                if limit >= 0, parts.count == limit {
                    parts.append(String(rest))
                    break
                }
                guard let space = rest.lastIndex(where: isSpace) else {
                    parts.append(String(rest))
                    break
                }
                parts.append(String(rest[rest.index(after: space)...]))
                rest = rest[...space]
                while let last = rest.last, isSpace(last) { rest.removeLast() }
            }
            return parts.reversed()
        }
        if limit >= 0 { rest = Substring(strip(text, right: false)).unicodeScalars }
        while !rest.isEmpty {
            if limit >= 0, parts.count == limit {
                parts.append(String(rest))
                break
            }
            let end = rest.firstIndex(where: isSpace) ?? rest.endIndex
            parts.append(String(rest[..<end]))
            rest = rest[end...]
            rest = rest.drop(while: isSpace)
        }
        return parts
    }

    static func splitLines(_ text: String, keepsEnds: Bool = false) -> [String] {
        var lines: [String] = []
        let scalars = text.unicodeScalars
        var start = scalars.startIndex
        while start < scalars.endIndex {
            var end = start
            while end < scalars.endIndex, !isLineEnd(scalars[end]) { end = scalars.index(after: end) }
            var next = end
            if next < scalars.endIndex {
                next = scalars.index(after: next)
                if scalars[end] == "\r", next < scalars.endIndex, scalars[next] == "\n" {
                    next = scalars.index(after: next)
                }
            }
            lines.append(String(scalars[start..<(keepsEnds ? next : end)]))
            start = next
        }
        return lines
    }

    /// `str.replace(old, new, limit)`; nil if the result would be longer than `maximum` bytes.
    static func replace(_ text: String, _ old: String, _ new: String, limit: Int, maximum: Int) -> String? {
        var out: [UInt8] = []
        let replacement = Array(new.utf8)
        var count = 0
        if old.isEmpty {
            for scalar in text.unicodeScalars {
                if limit < 0 || count < limit { out += replacement }
                count += 1
                out += Array(String(scalar).utf8)
                if out.count > maximum { return nil }
            }
            if limit < 0 || count < limit { out += replacement }
            return out.count > maximum ? nil : String(decoding: out, as: UTF8.self)
        }
        let bytes = Array(text.utf8)
        let needle = Array(old.utf8)
        var start = 0
        while limit < 0 || count < limit, let at = find(needle, in: bytes, from: start) {
            out += bytes[start..<at]
            out += replacement
            start = at + needle.count
            count += 1
            if out.count > maximum { return nil }
        }
        if count == 0 { return text }
        out += bytes[start...]
        return out.count > maximum ? nil : String(decoding: out, as: UTF8.self)
    }

    // MARK: Case

    static func isASCII(_ text: String) -> Bool { text.utf8.allSatisfy { $0 < 0x80 } }

    static func upper(_ text: String) -> String {
        isASCII(text)
            ? text.uppercased() : text.unicodeScalars.reduce(into: "") { $0 += $1.properties.uppercaseMapping }
    }

    static func lower(_ text: String) -> String {
        if isASCII(text) { return text.lowercased() }
        guard text.utf8.contains(0xCE) else {
            return text.unicodeScalars.reduce(into: "") { $0 += $1.properties.lowercaseMapping }
        }
        let scalars = Array(text.unicodeScalars)
        return scalars.indices.reduce(into: "") { $0 += lower(at: $1, in: scalars) }
    }

    /// One character in lower case, with the Greek final sigma as Unicode's SpecialCasing gives it.
    private static func lower(at index: Int, in scalars: [UnicodeScalar]) -> String {
        guard scalars[index] == "\u{3A3}" else { return scalars[index].properties.lowercaseMapping }
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        let isFinal = (before?.properties.isCased ?? false) && !(after?.properties.isCased ?? false)
        return isFinal ? "\u{3C2}" : "\u{3C3}"
    }

    /// The first character in title case, the others in lower case.
    static func capitalize(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return "" }
        return first.properties.titlecaseMapping + lower(make(text.unicodeScalars.dropFirst()))
    }

    /// `str.title`: each run of cased characters capitalised.
    static func title(_ text: String) -> String {
        var out = ""
        var inWord = false
        let scalars = Array(text.unicodeScalars)
        for (at, scalar) in scalars.enumerated() {
            out += inWord ? lower(at: at, in: scalars) : scalar.properties.titlecaseMapping
            inWord = scalar.properties.isCased
        }
        return out
    }

    static func swapCase(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { out, scalar in
            let properties = scalar.properties
            out +=
                properties.isUppercase
                ? properties.lowercaseMapping : properties.isLowercase ? properties.uppercaseMapping : String(scalar)
        }
    }

    // MARK: Classes

    /// At least one cased character and none of the other case.
    static func isCase(_ text: String, upper: Bool) -> Bool {
        var found = false
        for scalar in text.unicodeScalars {
            let properties = scalar.properties
            if upper ? properties.isLowercase : properties.isUppercase { return false }
            if properties.generalCategory == .titlecaseLetter { return false }
            if upper ? properties.isUppercase : properties.isLowercase { found = true }
        }
        return found
    }

    static func isTitle(_ text: String) -> Bool {
        var found = false
        var afterCased = false
        for scalar in text.unicodeScalars {
            let properties = scalar.properties
            if properties.isUppercase || properties.generalCategory == .titlecaseLetter {
                if afterCased { return false }
                afterCased = true
                found = true
            } else if properties.isLowercase {
                if !afterCased { return false }
                found = true
            } else {
                afterCased = false
            }
        }
        return found
    }

    static func isAlphabetic(_ scalar: UnicodeScalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
        default: return false
        }
    }

    static func isDecimal(_ scalar: UnicodeScalar) -> Bool { scalar.properties.generalCategory == .decimalNumber }

    static func isDigit(_ scalar: UnicodeScalar) -> Bool {
        scalar.properties.numericType == .decimal || scalar.properties.numericType == .digit
    }

    static func isNumeric(_ scalar: UnicodeScalar) -> Bool { scalar.properties.numericType != nil }

    /// What Python's `repr` writes as it is.
    static func isPrintable(_ scalar: UnicodeScalar) -> Bool {
        if scalar == " " { return true }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }

    // MARK: HTML

    /// `markupsafe.escape`.
    static func escapeHTML(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { out, scalar in
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&#34;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
    }
}
