import CUTF8Proc

/// Properties of code points, as the reference tokenizers ask for them. Tables are utf8proc's (Unicode 15.0).
enum CharacterClass {
    @inline(__always)
    private static func category(_ scalar: UInt32) -> Int32 {
        Int32(utf8proc_category(Int32(bitPattern: scalar)).rawValue)
    }

    /// The White_Space property.
    static func isWhitespace(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09...0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// General categories Nd, Nl and No.
    static func isNumeric(_ scalar: UInt32) -> Bool {
        if scalar < 0x80 { return scalar &- 0x30 < 10 }
        return (9...11).contains(category(scalar))
    }

    /// General categories Pc, Pd, Ps, Pe, Pi, Pf and Po, and every printable ASCII character that is no letter or digit.
    static func isPunctuation(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
        case 0..<0x80: false
        default: (12...18).contains(category(scalar))
        }
    }

    /// What BERT's pre-tokenizer in `tokenizers` cuts at: punctuation by the tables of Unicode 8, as that library has it.
    static func isBERTPunctuation(_ scalar: UInt32) -> Bool {
        if scalar < 0x61D { return isPunctuation(scalar) }
        switch scalar {
        case 0x61D, 0x9FD, 0xA76, 0xC77, 0xC84, 0x1B7D...0x1B7E, 0x2E43...0x2E5D, 0x10EAD, 0x10F55...0x10F59,
            0x10F86...0x10F89, 0x1144B...0x1144F, 0x1145A...0x1145D, 0x11660...0x1166C, 0x116B9, 0x1183B,
            0x11944...0x11946, 0x119E2, 0x11A3F...0x11AA2, 0x11B00...0x11B09, 0x11C41...0x11C71, 0x11EF7...0x11FFF,
            0x12FF1...0x12FF2, 0x16E97...0x16E9A, 0x16FE2, 0x1E95E...0x1E95F:
            return false
        case 0x166D, 0x111C9: return true
        default: return isPunctuation(scalar)
        }
    }

    /// General categories Mn, Mc and Me.
    static func isMark(_ scalar: UInt32) -> Bool {
        scalar >= 0x300 && (6...8).contains(category(scalar))
    }

    /// General category Mn.
    static func isNonspacingMark(_ scalar: UInt32) -> Bool {
        scalar >= 0x300 && category(scalar) == 6
    }

    /// General categories Cc, Cf, Cs and Co, but for the three controls that count as white space.
    static func isControl(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09, 0x0A, 0x0D: false
        case 0x20..<0x7F: false
        default: category(scalar) >= 26
        }
    }

    /// `\w` of Unicode Technical Standard 18, annex C: Alphabetic, marks, Nd, Pc and the join controls.
    static func isWord(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: return true
        case 0..<0x80: return false
        case 0x200C, 0x200D: return true
        default:
            switch category(scalar) {
            case 1...10, 12: return true
            default: return Unicode.Scalar(scalar)?.properties.isAlphabetic ?? false
            }
        }
    }

    /// The ideographs that BERT's tokenizer sets apart (google-research/bert, tokenization.py, `_is_chinese_char`).
    static func isIdeograph(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }

    /// Appends the full lower-case mapping: one character but for U+0130, the only unconditional mapping to two.
    @inline(__always)
    static func appendLowercase(_ scalar: UInt32, to out: inout [UInt8]) {
        if scalar < 0x80 {
            out.append(UInt8(truncatingIfNeeded: scalar &- 0x41 < 26 ? scalar | 0x20 : scalar))
        } else if scalar == 0x130 {
            UTF8Text.append(0x69, to: &out)
            UTF8Text.append(0x307, to: &out)
        } else {
            UTF8Text.append(UInt32(bitPattern: utf8proc_tolower(Int32(bitPattern: scalar))), to: &out)
        }
    }
}
