import CZlib
import Foundation
import JSON
import Testing

@testable import TokenizerCore

/// A folder or file of shared data: in MARTLET_SHARED_DATA, or in "shared/data" beside some folder above this file.
func sharedData(_ name: String) -> URL? {
    located(name, environment: "MARTLET_SHARED_DATA", beside: "shared/data")
}

/// Real tokenizers and weights: in MARTLET_ASSETS, or in "assets" beside some folder above this file.
func asset(_ name: String) -> URL? { located(name, environment: "MARTLET_ASSETS", beside: "assets") }

private func located(_ name: String, environment: String, beside: String) -> URL? {
    var candidates = [ProcessInfo.processInfo.environment[environment]].compactMap { $0 }
    var folder = URL(fileURLWithPath: #filePath)
    while folder.path != "/" {
        folder.deleteLastPathComponent()
        candidates.append(folder.appendingPathComponent(beside).path)
    }
    return candidates.map { URL(fileURLWithPath: $0 + "/" + name) }.first {
        FileManager.default.fileExists(atPath: $0.path)
    }
}

/// A file of Tests/Goldens/tokenizers, made by a script in Tests/Oracles.
func golden(_ name: String) throws -> [UInt8] {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try contents(tests.appendingPathComponent("Goldens/tokenizers/\(name)"))
}

/// The bytes of a file, unpacked where its name ends in .gz.
func contents(_ url: URL) throws -> [UInt8] {
    let data = Array(try Data(contentsOf: url))
    return url.pathExtension == "gz" ? try gunzipped(data) : data
}

func gunzipped(_ data: [UInt8]) throws -> [UInt8] {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    try #require(inflateInit2_(&stream, 31, ZLIB_VERSION, size) == Z_OK)
    defer { inflateEnd(&stream) }
    var input = data
    var out: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    try input.withUnsafeMutableBufferPointer { input in
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(input.count)
        var status = Z_OK
        while status == Z_OK {
            let produced = try chunk.withUnsafeMutableBufferPointer { chunk in
                stream.next_out = chunk.baseAddress
                stream.avail_out = UInt32(chunk.count)
                status = inflate(&stream, Z_NO_FLUSH)
                try #require(status == Z_OK || status == Z_STREAM_END)
                return chunk.count - Int(stream.avail_out)
            }
            out.append(contentsOf: chunk[..<produced])
        }
    }
    return out
}

/// A tokenizer of files that are given by name.
func makeTokenizer(_ files: [String: [UInt8]]) throws -> TextTokenizer {
    let names = files.keys.sorted()
    let blocks = names.map { name -> UnsafeMutableBufferPointer<UInt8> in
        let bytes = files[name] ?? []
        let block = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
        _ = block.initialize(from: bytes)
        return UnsafeMutableBufferPointer(rebasing: block[..<bytes.count])
    }
    defer { for block in blocks { block.baseAddress?.deallocate() } }
    return try TextTokenizer(TokenizerFiles(zip(names, blocks).map { ($0, UnsafeBufferPointer($1)) }))
}

func makeTokenizer(json: String) throws -> TextTokenizer { try makeTokenizer(["tokenizer.json": Array(json.utf8)]) }

extension TextTokenizer {
    func ids(_ text: String, special: Bool = false, parse: Bool = false) throws -> [Int32] {
        try ids(Array(text.utf8), special: special, parse: parse)
    }
    func ids(_ text: [UInt8], special: Bool = false, parse: Bool = false) throws -> [Int32] {
        try text.withUnsafeBufferPointer { try encode($0, addsSpecial: special, parsesSpecial: parse) }
    }
    func text(_ ids: [Int32], skipsSpecial: Bool = false) -> String {
        String(decoding: ids.withUnsafeBufferPointer { decode($0, skipsSpecial: skipsSpecial) }, as: UTF8.self)
    }
}

/// The `tokenizer.ggml.*` entries of a GGUF file as one JSON object (ggml, docs/gguf.md), for files that the tests trust.
func tokenizerMetadata(gguf bytes: [UInt8]) throws -> [UInt8] {
    var at = 8
    func number<T: FixedWidthInteger>(_ type: T.Type) -> T {
        defer { at += MemoryLayout<T>.size }
        return bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: T.self)) }
    }
    func string() -> JSON {
        let count = Int(number(UInt64.self))
        defer { at += count }
        return .string(String(decoding: bytes[at..<(at + count)], as: UTF8.self))
    }
    func value(_ type: UInt32) throws -> JSON {
        switch type {
        case 0: return .int(Int64(number(UInt8.self)))
        case 1: return .int(Int64(number(Int8.self)))
        case 2: return .int(Int64(number(UInt16.self)))
        case 3: return .int(Int64(number(Int16.self)))
        case 4: return .int(Int64(number(UInt32.self)))
        case 5: return .int(Int64(number(Int32.self)))
        case 6: return .double(Double(Float(bitPattern: number(UInt32.self))))
        case 7: return .bool(number(UInt8.self) != 0)
        case 8: return string()
        case 9:
            let type = number(UInt32.self)
            return .array(try (0..<number(UInt64.self)).map { _ in try value(type) })
        case 10, 11: return .int(number(Int64.self))
        case 12: return .double(Double(bitPattern: number(UInt64.self)))
        default: throw GGUFTrouble(type: type)
        }
    }
    _ = number(UInt64.self)
    let count = number(UInt64.self)
    var members: [(String, JSON)] = []
    for _ in 0..<count {
        let key = string().string ?? ""
        let entry = try value(number(UInt32.self))
        if key.hasPrefix("tokenizer.ggml.") { members.append((key, entry)) }
    }
    return Array(JSON.object(JSONObject(members)).text().utf8)
}
struct GGUFTrouble: Error { let type: UInt32 }

/// 185 texts of many scripts, kept with the reference ids.
func referenceCases() throws -> [String]? {
    guard let file = sharedData("tokenizers/reference/cases.json") else { return nil }
    return try JSON(parsing: contents(file)).array?.compactMap(\.string)
}

func referenceIDs(_ name: String) throws -> [[Int32]]? {
    guard let file = sharedData("tokenizers/reference/\(name).json") else { return nil }
    return try JSON(parsing: contents(file))["ids"]?.array?.map {
        $0.array?.compactMap { $0.int.map(Int32.init) } ?? []
    }
}
