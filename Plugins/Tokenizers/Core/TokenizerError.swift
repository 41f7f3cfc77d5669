import JSON

/// What is wrong with a tokenizer's files or with a text, where it stands, and what would mend it.
package struct TokenizerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What a caller can act on.
    package enum Code: Sendable { case missingFile, malformed, unsupported, tooLarge, noSuchID }
    package let code: Code
    package let message: String
    /// The file, and the place in it where that is known.
    package let location: String

    package init(_ code: Code, _ message: String, in location: String) {
        self.code = code
        self.message = message
        self.location = location
    }

    package init(_ error: JSONError, in file: String) {
        self.init(.malformed, error.message, in: "\(file), line \(error.line), column \(error.column)")
    }

    package var description: String { "\(location): \(message)" }
}

/// Bounds on what a tokenizer file may ask for; published vocabularies stay a factor of ten below them.
enum Limits {
    /// Entries of a vocabulary.
    static let pieces = 1 << 22
    /// Numbers without a piece that any vocabulary may have.
    static let gaps = 1 << 16
    /// Bytes of one piece.
    static let pieceBytes = 1 << 16
    /// Bytes of one added token: its length bounds the work done at each position of a text.
    static let addedTokenBytes = 1 << 10
    /// Nested normalizers, pre-tokenizers and decoders.
    static let nesting = 16
    /// Steps of one sequence of them.
    static let steps = 256
    /// Bytes of a text, so that positions fit in 32 bits with room for what normalizers add.
    static let textBytes = 1 << 29
}
