public import PluginKit

/// A tokenizer plugin over the shared core: it says which formats it reads, and how well, and the rest follows.
public protocol PluginTokenizer: Tokenizer {
    /// How well this plugin reads a format: 0 = not at all, 100 = exactly its own.
    static func score(_ format: SourceFormat) -> Int
    var core: OpenTokenizer { get }
    init(core: OpenTokenizer)
}

/// The format of a source, told from the names and beginnings of its files.
public struct SourceFormat: Sendable {
    package let format: TokenizerFormat
}

/// The opened tokenizer behind a plugin.
public struct OpenTokenizer: Sendable {
    let tokenizer: TextTokenizer
}

extension PluginTokenizer {
    public static func probe(_ source: TokenizerSource) -> Int {
        TokenizerFormat.detect(TokenizerFiles(source.files)).map { score(SourceFormat(format: $0)) } ?? 0
    }

    public init(source: TokenizerSource) throws {
        self.init(
            core: OpenTokenizer(
                tokenizer: try reporting { () throws(TokenizerError) in
                    try TextTokenizer(TokenizerFiles(source.files))
                }))
    }

    public func encode(_ text: UnsafeBufferPointer<UInt8>, _ options: EncodeOptions) throws -> [Int32] {
        try reporting { () throws(TokenizerError) in
            try core.tokenizer.encode(
                text, addsSpecial: options.contains(.addSpecial), parsesSpecial: options.contains(.parseSpecial))
        }
    }

    public func decode(_ ids: UnsafeBufferPointer<Int32>, skipSpecial: Bool) throws -> [UInt8] {
        core.tokenizer.decode(ids, skipsSpecial: skipSpecial)
    }

    public func makeDecoder(skipSpecial: Bool) throws -> any TokenDecoder {
        StreamDecoder(core.tokenizer, skipsSpecial: skipSpecial)
    }

    public func piece(_ id: Int32) -> [UInt8]? { core.tokenizer.piece(id) }

    public func id(of piece: UnsafeBufferPointer<UInt8>) -> Int32? { core.tokenizer.id(of: piece) }

    public func describe() throws -> String { core.tokenizer.describe() }
}

extension StreamDecoder: TokenDecoder {}

/// Turns the core's errors into the contract's.
private func reporting<Result>(_ body: () throws(TokenizerError) -> Result) throws(PluginError) -> Result {
    do throws(TokenizerError) {
        return try body()
    } catch {
        let code: PluginError.Code =
            switch error.code {
            case .missingFile, .noSuchID: .notFound
            case .unsupported: .unsupported
            case .malformed, .tooLarge: .invalid
            }
        throw PluginError(code, error.message, at: error.location)
    }
}
