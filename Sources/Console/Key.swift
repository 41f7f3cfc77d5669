/// What a person pressed.
package enum Key: Equatable, Sendable {
    /// Letters, whole characters.
    case text(String)
    /// Text that was pasted in one go, line ends included.
    case paste(String)
    case enter
    /// A line end within the text: Alt-Enter.
    case newline
    case tab, backspace, delete
    case left, right, up, down, home, end, wordLeft, wordRight
    case eraseToStart, eraseToEnd, eraseWord, eraseNextWord, insertErased, transpose
    case clearScreen, interrupt, endOfInput, suspend
    case ignored
}

/// Makes keys of the bytes that a terminal in raw mode sends: UTF-8, control characters, and the escape sequences of
/// ECMA-48 as xterm and its kin send them.
package struct KeyDecoder {
    private var bytes: [UInt8] = []
    private var at = 0

    package init() {}

    package mutating func feed(_ more: some Sequence<UInt8>) {
        bytes.removeFirst(at)
        at = 0
        bytes.append(contentsOf: more)
    }

    /// Whether bytes are there that make no key yet, such as an escape that may be the beginning of more.
    package var isWaiting: Bool { at < bytes.count }

    /// The next key; nil until more bytes come.
    /// - Parameter isOver: Nothing follows soon: an escape stands for itself.
    package mutating func next(isOver: Bool = false) -> Key? {
        guard at < bytes.count else { return nil }
        let start = at
        let first = bytes[at]
        at += 1
        let key: Key?
        switch first {
        case 0x1B: key = escaped()
        case 0..<0x20, 0x7F: key = Self.control(first)
        default: key = text(first)
        }
        if let key { return key }
        if isOver {
            at = bytes.count
            return .ignored
        }
        at = start
        return nil
    }

    private static func control(_ byte: UInt8) -> Key {
        switch byte {
        case 0x01: .home
        case 0x02: .left
        case 0x03: .interrupt
        case 0x04: .endOfInput
        case 0x05: .end
        case 0x06: .right
        case 0x08, 0x7F: .backspace
        case 0x09: .tab
        case 0x0A, 0x0D: .enter
        case 0x0B: .eraseToEnd
        case 0x0C: .clearScreen
        case 0x0E: .down
        case 0x10: .up
        case 0x14: .transpose
        case 0x15: .eraseToStart
        case 0x17: .eraseWord
        case 0x19: .insertErased
        case 0x1A: .suspend
        default: .ignored
        }
    }

    /// A run of letters up to the next control character, in whole UTF-8 sequences.
    private mutating func text(_ first: UInt8) -> Key? {
        var end = at - 1
        var whole = end
        while end < bytes.count, bytes[end] >= 0x20, bytes[end] != 0x7F {
            let length = bytes[end] < 0x80 ? 1 : bytes[end] < 0xE0 ? 2 : bytes[end] < 0xF0 ? 3 : 4
            guard end + length <= bytes.count else { break }
            end += length
            whole = end
        }
        guard whole >= at else { return nil }
        defer { at = whole }
        return .text(String(decoding: bytes[(at - 1)..<whole], as: UTF8.self))
    }

    private mutating func escaped() -> Key? {
        guard at < bytes.count else { return nil }
        let second = bytes[at]
        at += 1
        switch second {
        case UInt8(ascii: "["): return sequence()
        case UInt8(ascii: "O"):
            guard at < bytes.count else { return nil }
            at += 1
            return Self.named(bytes[at - 1], modifier: 1)
        case 0x0A, 0x0D: return .newline
        case 0x08, 0x7F: return .eraseWord
        case 0x1B:
            // The first one stood for itself.
            at -= 1
            return .ignored
        case UInt8(ascii: "b"): return .wordLeft
        case UInt8(ascii: "f"): return .wordRight
        case UInt8(ascii: "d"): return .eraseNextWord
        default: return .ignored
        }
    }

    /// CSI: parameters, then a final byte.
    private mutating func sequence() -> Key? {
        var numbers = [0]
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                numbers[numbers.count - 1] = min(9999, numbers[numbers.count - 1] * 10 + Int(byte - 0x30))
            case UInt8(ascii: ";"): numbers.append(0)
            case UInt8(ascii: "~"):
                switch numbers[0] {
                case 1, 7: return .home
                case 3: return numbers.last == 5 && numbers.count > 1 ? .eraseNextWord : .delete
                case 4, 8: return .end
                case 200: return pasted()
                default: return .ignored
                }
            case 0x40...0x7E: return Self.named(byte, modifier: numbers.count > 1 ? numbers[1] : 1)
            default: continue
            }
        }
        return nil
    }

    /// Arrows and their neighbours; modifiers other than 1 are Shift, Alt and Ctrl, the last two of which go by words.
    private static func named(_ byte: UInt8, modifier: Int) -> Key {
        switch byte {
        case UInt8(ascii: "A"): .up
        case UInt8(ascii: "B"): .down
        case UInt8(ascii: "C"): modifier > 2 ? .wordRight : .right
        case UInt8(ascii: "D"): modifier > 2 ? .wordLeft : .left
        case UInt8(ascii: "H"): .home
        case UInt8(ascii: "F"): .end
        default: .ignored
        }
    }

    /// Everything up to the end mark of a bracketed paste.
    private mutating func pasted() -> Key? {
        let mark = Array("\u{1B}[201~".utf8)
        guard bytes.count - at >= mark.count else { return nil }
        for end in at...(bytes.count - mark.count) where bytes[end] == 0x1B {
            guard bytes[end..<(end + mark.count)].elementsEqual(mark) else { continue }
            defer { at = end + mark.count }
            return .paste(String(decoding: bytes[at..<end], as: UTF8.self))
        }
        return nil
    }
}
