import PluginAPI

/// The files that a tokenizer is made from, by name. The bytes are borrowed: copy what is kept.
public struct TokenizerSource {
    public let files: [(name: String, bytes: UnsafeBufferPointer<UInt8>)]

    public init(files: [(name: String, bytes: UnsafeBufferPointer<UInt8>)]) { self.files = files }

    init(_ source: UnsafePointer<mt_tokenizer_source>?) {
        guard let source = source?.pointee, let list = source.files else {
            files = []
            return
        }
        files = (0..<Int(source.file_count)).map { i in
            let bytes = list[i].bytes
            return (
                list[i].name.string,
                UnsafeBufferPointer(
                    start: bytes.data?.assumingMemoryBound(to: UInt8.self), count: bytes.data == nil ? 0 : bytes.size)
            )
        }
    }

    /// The bytes of the file `name`, if it is there.
    public subscript(name: String) -> UnsafeBufferPointer<UInt8>? { files.first { $0.name == name }?.bytes }
}

public struct EncodeOptions: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Beginning and end tokens as the post-processor or the defaults say.
    public static let addSpecial = EncodeOptions(rawValue: UInt32(MT_ENCODE_ADD_SPECIAL))
    /// Special tokens spelled in the text become their ids.
    public static let parseSpecial = EncodeOptions(rawValue: UInt32(MT_ENCODE_PARSE_SPECIAL))
}

/// Text to token ids and back. All members may be called from any thread.
public protocol Tokenizer: AnyObject, Sendable {
    /// How well this plugin reads the source: 0 = not at all, 100 = exactly its own format.
    static func probe(_ source: TokenizerSource) -> Int
    init(source: TokenizerSource) throws
    /// The ids of `text`; bytes that are no UTF-8 count as U+FFFD.
    func encode(_ text: UnsafeBufferPointer<UInt8>, _ options: EncodeOptions) throws -> [Int32]
    /// The UTF-8 text of `ids`.
    func decode(_ ids: UnsafeBufferPointer<Int32>, skipSpecial: Bool) throws -> [UInt8]
    func makeDecoder(skipSpecial: Bool) throws -> any TokenDecoder
    /// The piece of `id` as it stands in the vocabulary, or nil beyond its end.
    func piece(_ id: Int32) -> [UInt8]?
    /// The id of a piece or added token.
    func id(of piece: UnsafeBufferPointer<UInt8>) -> Int32?
    /// The description document of kinds/tokenizer.h, as JSON text.
    func describe() throws -> String
}

/// Decodes one token at a time and never returns a part of a character.
public protocol TokenDecoder: AnyObject {
    func push(_ id: Int32) throws -> [UInt8]
    /// What is left at the end; incomplete characters become U+FFFD.
    func finish() throws -> [UInt8]
}

private final class TokenizerContext {
    let type: any Tokenizer.Type
    init(_ type: any Tokenizer.Type) { self.type = type }
}
private final class TokenizerBox {
    let tokenizer: any Tokenizer
    init(_ tokenizer: any Tokenizer) { self.tokenizer = tokenizer }
    static func from(_ handle: OpaquePointer?) throws -> any Tokenizer {
        try Handle.object(handle, as: TokenizerBox.self).tokenizer
    }
}
private final class DecoderBox {
    let decoder: any TokenDecoder
    init(_ decoder: any TokenDecoder) { self.decoder = decoder }
}

extension Components {
    /// Offers a tokenizer under `id`.
    public func tokenizer(_ id: String, _ type: any Tokenizer.Type, summary: String, priority: Int = 0) {
        var table = mt_tokenizer_table()
        table.struct_size = UInt32(MemoryLayout<mt_tokenizer_table>.size)
        table.probe = { context, source in
            guard let context = try? Handle.context(context, as: TokenizerContext.self) else { return 0 }
            return Int32(context.type.probe(TokenizerSource(source)))
        }
        table.open = { context, source, out, error in
            guarded(error) {
                let type = try Handle.context(context, as: TokenizerContext.self).type
                out?.pointee = Handle.make(TokenizerBox(try type.init(source: TokenizerSource(source))))
            }
        }
        table.close = { _, handle in Handle.release(handle, as: TokenizerBox.self) }
        table.encode = { _, handle, text, flags, out, error in
            guarded(error) {
                let ids = try TokenizerBox.from(handle).encode(text.bytes, EncodeOptions(rawValue: flags))
                try ids.withUnsafeBytes { try out.put($0) }
            }
        }
        table.decode = { _, handle, ids, count, flags, out, error in
            guarded(error) {
                let bytes = try TokenizerBox.from(handle).decode(
                    UnsafeBufferPointer(start: ids, count: ids == nil ? 0 : count),
                    skipSpecial: flags & UInt32(MT_DECODE_SKIP_SPECIAL) != 0)
                try bytes.withUnsafeBytes { try out.put($0) }
            }
        }
        table.decoder_open = { _, handle, flags, out, error in
            guarded(error) {
                let skips = flags & UInt32(MT_DECODE_SKIP_SPECIAL) != 0
                out?.pointee = Handle.make(DecoderBox(try TokenizerBox.from(handle).makeDecoder(skipSpecial: skips)))
            }
        }
        table.decoder_push = { _, handle, id, out, error in
            guarded(error) {
                let bytes = try Handle.object(handle, as: DecoderBox.self).decoder.push(id)
                try bytes.withUnsafeBytes { try out.put($0) }
            }
        }
        table.decoder_finish = { _, handle, out, error in
            guarded(error) {
                let bytes = try Handle.object(handle, as: DecoderBox.self).decoder.finish()
                try bytes.withUnsafeBytes { try out.put($0) }
            }
        }
        table.decoder_close = { _, handle in Handle.release(handle, as: DecoderBox.self) }
        table.piece = { _, handle, id, out, error in
            guarded(error) {
                guard let piece = try TokenizerBox.from(handle).piece(id) else {
                    throw PluginError(.notFound, "the vocabulary has no token \(id)")
                }
                try piece.withUnsafeBytes { try out.put($0) }
            }
        }
        table.id_of = { _, handle, piece in (try? TokenizerBox.from(handle))?.id(of: piece.bytes) ?? -1 }
        table.describe = { _, handle, out, error in
            guarded(error) { try out.put(try TokenizerBox.from(handle).describe()) }
        }
        add(
            kind: MT_KIND_TOKENIZER, id: id, summary: summary, priority: priority, table: table,
            context: TokenizerContext(type))
    }
}
