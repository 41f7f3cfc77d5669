import Foundation
import Host
import JSON
import PluginAPI
import PluginKit
import Testing

/// The four plugins as a program meets them: found by manifest, opened by the host, called through the contract.
@Suite struct PluginTests {
    /// Where the libraries of this build lie, or nil where they are not built.
    static let build: String? = {
        let arguments = ProcessInfo.processInfo.arguments.first ?? ""
        var folder = URL(fileURLWithPath: arguments)
        while folder.path != "/" {
            if FileManager.default.fileExists(atPath: folder.appendingPathComponent("libTokenizersWordPiece.so").path) {
                return folder.path
            }
            folder.deleteLastPathComponent()
        }
        return nil
    }()

    static func registry(_ build: String) throws -> Registry {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
            .standardized
        var installation = try Installation(path: root.path + "/plugins.json")
        installation.libraryDirectories.append(build)
        installation.scan()
        return Registry(installation, services: Services(log: Log(least: .error)))
    }

    static func scores(_ files: [String: [UInt8]], _ registry: Registry) throws -> [String: Int32] {
        var out: [String: Int32] = [:]
        for id in ["byte-level-bpe", "sentencepiece", "wordpiece", "tiktoken"] {
            let component = try registry.find(kind: MT_KIND_TOKENIZER, id: id)
            let table = component.table(mt_tokenizer_table())
            withSource(files) { source in
                out[id] = withUnsafePointer(to: source) { table.probe(component.context, $0) }
            }
        }
        return out
    }

    static func withSource<Result>(_ files: [String: [UInt8]], _ body: (mt_tokenizer_source) throws -> Result) rethrows
        -> Result
    {
        let blocks = files.map { name, bytes -> (UnsafeMutableBufferPointer<UInt8>, mt_named_bytes) in
            let block = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
            _ = block.initialize(from: bytes)
            return (
                block,
                mt_named_bytes(name: Text.forever(name), bytes: mt_bytes(data: block.baseAddress, size: bytes.count))
            )
        }
        defer { for (block, _) in blocks { block.deallocate() } }
        return try blocks.map(\.1).withUnsafeBufferPointer { list in
            var source = mt_tokenizer_source()
            source.struct_size = UInt32(MemoryLayout<mt_tokenizer_source>.size)
            source.file_count = UInt32(list.count)
            source.files = list.baseAddress
            return try body(source)
        }
    }

    @Test func `Each format is claimed by one plugin`() throws {
        guard let build = Self.build else { return print("skipped: the plugins' libraries are not built") }
        let registry = try Self.registry(build)
        let claims: [(String, [String: [UInt8]])] = [
            ("byte-level-bpe", ["tokenizer.json": try golden("parts/bpe-qwen2.json")]),
            ("sentencepiece", ["tokenizer.json": try golden("parts/bpe-llama2.json")]),
            ("sentencepiece", ["tokenizer.json": try golden("parts/unigram.json")]),
            ("wordpiece", ["tokenizer.json": try golden("parts/wordpiece-uncased.json")]),
            ("wordpiece", ["vocab.txt": Array("[UNK]\nthe\n".utf8)]),
            ("tiktoken", ["x.tiktoken": Array("YQ== 0\n".utf8)]),
            ("tiktoken", ["tokenizer.model": Array("YQ== 0\nYg== 1\n".utf8)]),
            ("byte-level-bpe", ["vocab.json": Array("{}".utf8), "merges.txt": []]),
        ]
        for (owner, files) in claims {
            let scores = try Self.scores(files, registry)
            #expect(scores.filter { $0.value > 0 }.map(\.key) == [owner], "\(files.keys): \(scores)")
        }
        #expect(try Self.scores(["config.json": Array("{}".utf8)], registry).values.allSatisfy { $0 == 0 })
    }

    @Test func `A tokenizer opened through the host encodes, decodes, streams and describes itself`() throws {
        guard let build = Self.build else { return print("skipped: the plugins' libraries are not built") }
        let component = try Self.registry(build).find(kind: MT_KIND_TOKENIZER, id: "byte-level-bpe")
        let table = component.table(mt_tokenizer_table())
        var opened: OpaquePointer?
        try Self.withSource(["tokenizer.json": try golden("parts/bpe-qwen2.json")]) { source in
            try withUnsafePointer(to: source) { source in
                try checked { table.open(component.context, source, &opened, $0) }
            }
        }
        let tokenizer = try #require(opened)
        defer { table.close(component.context, tokenizer) }
        let text = "The bird's wings 🐦"
        let raw = try collected { sink in
            try text.lent { (text: mt_str) throws in
                try checked { table.encode(component.context, tokenizer, text, 0, sink, $0) }
            }
        }
        let ids = raw.withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
        let decoded = try collected { sink in
            try checked { table.decode(component.context, tokenizer, ids, ids.count, 0, sink, $0) }
        }
        #expect(String(decoding: decoded, as: UTF8.self) == text)
        var decoder: OpaquePointer?
        try checked { table.decoder_open(component.context, tokenizer, 0, &decoder, $0) }
        let streamed = try collected { sink in
            for id in ids { try checked { table.decoder_push(component.context, decoder, id, sink, $0) } }
            try checked { table.decoder_finish(component.context, decoder, sink, $0) }
        }
        table.decoder_close(component.context, decoder)
        #expect(streamed == decoded)
        let description = try JSON(
            parsing: collected { sink in
                try checked { table.describe(component.context, tokenizer, sink, $0) }
            })
        #expect(description["type"]?.string == "BPE")
        #expect((description["vocab_size"]?.int ?? 0) > 256)
    }

    @Test func `A damaged file is refused through the contract with its name and place`() throws {
        guard let build = Self.build else { return print("skipped: the plugins' libraries are not built") }
        let component = try Self.registry(build).find(kind: MT_KIND_TOKENIZER, id: "sentencepiece")
        let table = component.table(mt_tokenizer_table())
        let failure = #expect(throws: PluginError.self) {
            try Self.withSource(["tokenizer.json": Array(#"{"model":{"type":"Unigram","vocab":[["a",0]]}"#.utf8)]) {
                source in
                try withUnsafePointer(to: source) { source in
                    var opened: OpaquePointer?
                    try checked { table.open(component.context, source, &opened, $0) }
                }
            }
        }
        #expect(failure?.location == "tokenizer.json, line 1, column 46")
        #expect(failure?.code == .invalid)
    }
}
