/// Finds where a JSON value ends without building it, over a view that grows.
struct ValueScanner {
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var isScalar = false
    /// Bytes looked at so far, counted from the value's first byte.
    private(set) var scanned = 0

    /// The number of bytes of the value at the start of `view`, or nil when more of it must come into view.
    mutating func end(in view: UnsafeBufferPointer<UInt8>) -> Int? {
        var at = scanned
        defer { scanned = at }
        while at < view.count {
            let byte = view[at]
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                    if depth == 0 { return at + 1 }
                }
                at += 1
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                if isScalar { return at }
                isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                if isScalar { return at }
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // A closing bracket that nothing opened belongs to what stands around the value.
                if depth == 0 { return max(at, 1) }
                depth -= 1
                if depth == 0 { return at + 1 }
            case UInt8(ascii: ","), 0x20, 0x0A, 0x0D, 0x09:
                if depth == 0 { return max(at, 1) }
            default:
                if depth == 0 { isScalar = true }
            }
            at += 1
        }
        return nil
    }

    /// Whether the bytes looked at could be a whole value, such as a number at the end of a file.
    var isWhole: Bool { depth == 0 && !isInString && scanned > 0 }

    /// Tells the scanner that its first `count` bytes left the view.
    mutating func dropped(_ count: Int) { scanned -= count }
}
