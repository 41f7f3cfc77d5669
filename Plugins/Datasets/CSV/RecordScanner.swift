/// Finds the end of a record and its fields (RFC 4180), over a view that grows.
///
/// As Python's csv module reads it: a quote opens a field only as its first byte, and inside such a field a doubled
/// quote is one quote.
struct RecordScanner {
    enum State { case fieldStart, plain, quoted, quoteInQuoted }

    /// Where a field's text stands, and whether it was quoted and holds doubled quotes.
    struct Field {
        var range: Range<Int>
        var isQuoted = false
        var hasDoubled = false
    }

    let delimiter: UInt8
    private var state = State.fieldStart
    private var scanned = 0
    private var start = 0
    private var end = 0
    private var current = Field(range: 0..<0)
    private(set) var fields: [Field] = []
    /// What breaks the record's rules, if something does.
    private(set) var flaw: String?

    init(delimiter: UInt8) { self.delimiter = delimiter }

    var isInsideQuotes: Bool { state == .quoted }

    /// The number of bytes of the record with its line end, or nil when more must come into view.
    /// - Parameter isLast: No byte follows the view.
    mutating func end(in view: UnsafeBufferPointer<UInt8>, isLast: Bool) -> Int? {
        var at = scanned
        defer { scanned = at }
        while at < view.count {
            let byte = view[at]
            switch state {
            case .fieldStart where byte == UInt8(ascii: "\""):
                state = .quoted
                start = at + 1
                current = Field(range: 0..<0, isQuoted: true)
            case .quoted:
                if byte == UInt8(ascii: "\"") {
                    state = .quoteInQuoted
                    end = at
                }
            case .quoteInQuoted where byte == UInt8(ascii: "\""):
                state = .quoted
                current.hasDoubled = true
            case .fieldStart, .plain, .quoteInQuoted:
                if byte == delimiter || byte == 0x0A {
                    close(at: at, view, isRecordEnd: byte == 0x0A)
                    state = .fieldStart
                    start = at + 1
                    if byte == 0x0A { return at + 1 }
                } else if state == .quoteInQuoted {
                    // Only the CR of a line end may stand between a closing quote and what ends the field.
                    if byte != 0x0D { flaw = "stray text: behind the closing quote of field \(fields.count + 1)" }
                } else {
                    if state == .fieldStart { start = at }
                    state = .plain
                }
            }
            at += 1
        }
        guard isLast else { return nil }
        if state == .quoted { flaw = "open quote: the quote of field \(fields.count + 1) is never closed" }
        close(at: view.count, view, isRecordEnd: true)
        return view.count
    }

    private mutating func close(at: Int, _ view: UnsafeBufferPointer<UInt8>, isRecordEnd: Bool) {
        if state == .quoteInQuoted || state == .quoted {
            current.range = start..<max(start, state == .quoted ? at : end)
        } else {
            var stop = at
            if isRecordEnd, stop > start, view[stop - 1] == 0x0D { stop -= 1 }
            current.range = min(start, stop)..<stop
        }
        fields.append(current)
        current = Field(range: 0..<0)
    }
}
