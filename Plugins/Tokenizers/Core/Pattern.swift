import CPCRE2

/// A compiled regular expression over UTF-8: PCRE2 with its just-in-time compiler, or its interpreter where the system
/// forbids writing code.
final class Pattern: @unchecked Sendable {
    // The compiled code is immutable and shared; what a match writes lies in the caller's `Matcher`.
    private let code: OpaquePointer
    private let isJIT: Bool
    let source: String

    init(_ source: String, in file: String) throws(TokenizerError) {
        self.source = source
        let translated = Array(PatternSyntax.translated(source).utf8)
        var errorCode: Int32 = 0
        var errorOffset = 0
        let options = PCRE2_UTF | UInt32(PCRE2_UCP) | PCRE2_NEVER_BACKSLASH_C
        guard let code = pcre2_compile_8(translated, translated.count, options, &errorCode, &errorOffset, nil) else {
            throw TokenizerError(
                .malformed,
                "the pattern \(source.debugDescription) does not compile: \(Self.message(errorCode)) at byte \(errorOffset)",
                in: file)
        }
        self.code = code
        isJIT = pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE)) == 0
    }

    deinit { pcre2_code_free_8(code) }

    private static func message(_ code: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = pcre2_get_error_message_8(code, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<Int(count)], as: UTF8.self) : "error \(code)"
    }

    /// Calls `body` with the ranges of the matches, left to right; empty matches are passed over.
    /// - Parameter text: valid UTF-8.
    @inline(__always)
    func forEachMatch(
        in text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, with matcher: Matcher, _ body: (Int, Int) -> Void
    ) throws(TokenizerError) {
        guard let base = text.baseAddress else { return }
        var at = range.lowerBound
        while at < range.upperBound {
            let found = match(base + range.lowerBound, range.count, from: at - range.lowerBound, with: matcher)
            if found == PCRE2_ERROR_NOMATCH { return }
            guard found >= 0 else {
                throw TokenizerError(
                    .unsupported,
                    "the pattern \(source.debugDescription) gave up at byte \(at) of the text: \(Self.message(found))",
                    in: "pre-tokenizer")
            }
            let start = matcher.offsets[0] + range.lowerBound
            let end = matcher.offsets[1] + range.lowerBound
            if end > start {
                body(start, end)
                at = end
            } else {
                guard end < range.upperBound else { return }
                at = max(at, end) + UTF8Text.length(text[max(at, end)])
            }
        }
    }

    @inline(__always)
    private func match(_ base: UnsafePointer<UInt8>, _ count: Int, from start: Int, with matcher: Matcher) -> Int32 {
        let options = UInt32(PCRE2_NO_UTF_CHECK)
        if isJIT {
            let found = pcre2_jit_match_8(code, base, count, start, options, matcher.data, matcher.context)
            if found != PCRE2_ERROR_JIT_STACKLIMIT { return found }
        }
        return pcre2_match_8(
            code, base, count, start, options | UInt32(PCRE2_NO_JIT), matcher.data, matcher.context)
    }
}

/// What one thread needs to run patterns: the offsets of the last match, limits, and a stack.
final class Matcher {
    fileprivate let data: OpaquePointer
    fileprivate let context: OpaquePointer
    private let stack: OpaquePointer?
    /// Start and end of the last match.
    fileprivate let offsets: UnsafeMutablePointer<Int>

    init() throws(TokenizerError) {
        guard let data = pcre2_match_data_create_8(1, nil), let context = pcre2_match_context_create_8(nil) else {
            throw TokenizerError(.tooLarge, "no memory for the pattern matcher", in: "pre-tokenizer")
        }
        self.data = data
        self.context = context
        offsets = pcre2_get_ovector_pointer_8(data)
        stack = pcre2_jit_stack_create_8(32 << 10, 4 << 20, nil)
        if let stack { pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack)) }
    }

    /// Sets how much one match may backtrack: enough for any run in the text, and an end to a hostile pattern.
    func limit(forTextOf count: Int) {
        pcre2_set_match_limit_8(context, UInt32(clamping: 5_000_000 + 16 * count))
    }

    deinit {
        if let stack { pcre2_jit_stack_free_8(stack) }
        pcre2_match_context_free_8(context)
        pcre2_match_data_free_8(data)
    }
}
