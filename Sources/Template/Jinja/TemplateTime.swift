import Glibc

/// The wall-clock time that `strftime_now` tells a template, without a zone.
package struct TemplateTime: Sendable, Equatable {
    package let year: Int
    package let month: Int
    package let day: Int
    package let hour: Int
    package let minute: Int
    package let second: Int

    package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// The machine's local time now.
    package static func current() -> TemplateTime {
        var seconds = time(nil)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return TemplateTime(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec))
    }

    /// C's `strftime` in the C locale, with `%Z`, `%z` and `%f` as Python gives them for a time without a zone.
    func formatted(_ format: String) throws(Fault) -> String {
        var parts = tm()
        parts.tm_year = Int32(truncatingIfNeeded: year - 1900)
        parts.tm_mon = Int32(truncatingIfNeeded: month - 1)
        parts.tm_mday = Int32(truncatingIfNeeded: day)
        parts.tm_hour = Int32(truncatingIfNeeded: hour)
        parts.tm_min = Int32(truncatingIfNeeded: minute)
        parts.tm_sec = Int32(truncatingIfNeeded: second)
        // Fills in the days of the week and year.
        _ = timegm(&parts)
        var out = ""
        var scalars = format.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            guard scalar == "%" else {
                out.unicodeScalars.append(scalar)
                continue
            }
            var directive = "%"
            while let flag = scalars.first, "-_0^#".unicodeScalars.contains(flag) {
                directive.unicodeScalars.append(scalars.removeFirst())
            }
            guard directive.utf8.count < 8, let letter = scalars.popFirst(), letter.isASCII else {
                throw .value("invalid format of a time: '\(format)'")
            }
            switch letter {
            case "Z", "z": continue
            case "f": out += "000000"
            default: out += Self.strftime(directive + String(letter), parts)
            }
        }
        return out
    }

    private static func strftime(_ directive: String, _ parts: tm) -> String {
        var parts = parts
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            let count = Glibc.strftime(base, buffer.count, directive, &parts)
            return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
