import Files
package import JSON
internal import PluginAPI
package import PluginKit

/// An open tokenizer of a tokenizer plugin. May be used from any thread.
package final class TokenizerHandle: @unchecked Sendable {
    let table: UnsafePointer<mt_tokenizer_table>
    let context: UnsafeMutableRawPointer?
    let handle: OpaquePointer
    /// The description document of kinds/tokenizer.h.
    package let description: JSON
    package var vocabularySize: Int { description["vocab_size"]?.int ?? 0 }
    package var bos: Int32? { description["bos"]?.int.map(Int32.init) }
    package var eos: Int32? { description["eos"]?.int.map(Int32.init) }

    /// Opens the tokenizer that `files`, by name, hold.
    package init(
        files: [(name: String, bytes: UnsafeRawBufferPointer)], components: any ComponentSource, at path: String
    ) throws {
        let named = files.map { name, bytes in
            mt_named_bytes(name: Text.forever(name), bytes: mt_bytes(data: bytes.baseAddress, size: bytes.count))
        }
        var opened: OpaquePointer?
        var chosen: mt_component?
        try named.withUnsafeBufferPointer { list in
            var source = mt_tokenizer_source()
            source.struct_size = UInt32(MemoryLayout<mt_tokenizer_source>.size)
            source.file_count = UInt32(list.count)
            source.files = list.baseAddress
            let best = try components.best(kind: MT_KIND_TOKENIZER) { component in
                guard let table = component.table?.assumingMemoryBound(to: mt_tokenizer_table.self) else { return 0 }
                return Int(table.pointee.probe(component.ctx, &source))
            }
            guard let component = best?.component,
                let table = component.table?.assumingMemoryBound(to: mt_tokenizer_table.self)
            else {
                let names = files.map(\.name).joined(separator: ", ")
                throw ModelError(
                    .notFound,
                    (files.isEmpty ? "there is no tokenizer" : "no tokenizer plugin reads \(names)")
                        + "; a model needs tokenizer.json, tokenizer.model, vocab.json with merges.txt, vocab.txt, or a GGUF file's own",
                    at: path)
            }
            chosen = component
            try checked { table.pointee.open(component.ctx, &source, &opened, $0) }
        }
        guard let component = chosen, let opened,
            let table = component.table?.assumingMemoryBound(to: mt_tokenizer_table.self)
        else { throw ModelError(.invalid, "the tokenizer plugin opened nothing", at: path) }
        self.table = table
        context = component.ctx
        handle = opened
        let text = try collected { sink in try checked { table.pointee.describe(component.ctx, opened, sink, $0) } }
        description = try JSON(parsing: text)
    }

    deinit { table.pointee.close(context, handle) }

    package func encode(_ text: String, options: EncodeOptions) throws -> [Int32] {
        let bytes = try text.lent { text in
            try collected { sink in
                try checked { table.pointee.encode(context, handle, text, options.rawValue, sink, $0) }
            }
        }
        return bytes.withUnsafeBytes { raw in
            (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
        }
    }

    package func decode(_ ids: [Int32], skipSpecial: Bool) throws -> String {
        let flags = skipSpecial ? UInt32(MT_DECODE_SKIP_SPECIAL) : 0
        let bytes = try collected { sink in
            try checked { table.pointee.decode(context, handle, ids, ids.count, flags, sink, $0) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The piece of a token as it stands in the vocabulary.
    package func piece(_ id: Int32) -> String? {
        (try? collected { sink in try checked { table.pointee.piece(context, handle, id, sink, $0) } })
            .map { String(decoding: $0, as: UTF8.self) }
    }

    package func id(of piece: String) -> Int32? {
        let id = piece.lent { table.pointee.id_of(context, handle, $0) }
        return id < 0 ? nil : id
    }

    package func makeDecoder(skipSpecial: Bool) throws -> StreamDecoder {
        try StreamDecoder(self, skipSpecial: skipSpecial)
    }
}

/// Text of one token at a time, whole characters only.
package final class StreamDecoder {
    private let tokenizer: TokenizerHandle
    private let handle: OpaquePointer

    init(_ tokenizer: TokenizerHandle, skipSpecial: Bool) throws {
        var opened: OpaquePointer?
        let flags = skipSpecial ? UInt32(MT_DECODE_SKIP_SPECIAL) : 0
        try checked { tokenizer.table.pointee.decoder_open(tokenizer.context, tokenizer.handle, flags, &opened, $0) }
        guard let opened else { throw ModelError(.invalid, "the tokenizer opened no decoder") }
        self.tokenizer = tokenizer
        handle = opened
    }

    deinit { tokenizer.table.pointee.decoder_close(tokenizer.context, handle) }

    package func push(_ id: Int32) throws -> String {
        String(
            decoding: try collected { sink in
                try checked { tokenizer.table.pointee.decoder_push(tokenizer.context, handle, id, sink, $0) }
            }, as: UTF8.self)
    }

    package func finish() throws -> String {
        String(
            decoding: try collected { sink in
                try checked { tokenizer.table.pointee.decoder_finish(tokenizer.context, handle, sink, $0) }
            }, as: UTF8.self)
    }
}
