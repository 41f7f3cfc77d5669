import CheckpointsSafetensors
import Files
import Foundation
import JSON
import PluginKit
import Testing

@Suite struct SafetensorsTests {
    /// A file with the given header and data.
    static func file(_ header: String, data: Int = 16) -> [UInt8] {
        bytes(UInt64(header.utf8.count)) + Array(header.utf8) + [UInt8](repeating: 7, count: data)
    }

    static func read(_ file: [UInt8]) throws -> SafetensorsFile {
        try file.withUnsafeBytes { try SafetensorsFile($0, path: "test") }
    }

    @Test func everyTypeOfTheReferenceImplementationIsRead() throws {
        let file = try golden("types.safetensors")
        let header = try Self.read(file)
        #expect(header.metadata["made by"] == "the reference implementation")
        let shapes = Dictionary(uniqueKeysWithValues: header.tensors.map { ($0.name, $0.shape) })
        #expect(shapes["scalar"] == [] && shapes["empty"] == [0, 4] && shapes["float16"] == [2, 3])
        let layouts = Dictionary(uniqueKeysWithValues: header.tensors.map { ($0.name, $0.layout) })
        #expect(
            layouts == [
                "bool": "bool", "uint8": "u8", "int8": "i8", "uint16": "u16", "int16": "i16", "float16": "f16",
                "uint32": "u32", "int32": "i32", "float32": "f32", "uint64": "u64", "int64": "i64", "float64": "f64",
                "scalar": "f32", "empty": "f32",
            ])
        let float = try #require(header.tensors.first { $0.name == "float32" })
        let data = Array(file[Int(float.offset)..<Int(float.offset + float.size)])
        let values = data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        #expect(values == [0, 1, 2, 3, 4, 5])
    }

    /// Where we are stricter than the reference: a name twice, null for the metadata, and space before the '{' with
    /// which, by the format's text, a header begins.
    @Test func mutantsGetTheVerdictOfTheReferenceImplementation() throws {
        let cases = try #require(JSON(parsing: golden("safetensors_verdicts.json")).array)
        var accepted = 0
        for (i, item) in cases.enumerated() {
            let file = hexBytes(item[0]?.string ?? "")
            let verdict: String
            do {
                _ = try Self.read(file)
                verdict = "taken"
                accepted += 1
            } catch {
                verdict = "\(error)"
            }
            let text = String(decoding: file.dropFirst(8), as: UTF8.self)
            let isStricter =
                verdict.contains("stands twice") || verdict.contains("__metadata__: found null")
                || verdict.contains("found the byte 32, wanted '{'")
            if item[1]?.bool == true, isStricter { continue }
            let wanted = item[1]?.bool == true
            #expect((verdict == "taken") == wanted, "case \(i): \(text): \(verdict)")
        }
        #expect(accepted > 10)
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}}"#, 16, "found 16 bytes, wanted 12 bytes"),
        (#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, 15, "fetch it again"),
        (#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, 20, "4 bytes that belong to no tensor"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#, 16, "a hole: begin 8, wanted 0"),
        (#"{"a":{"dtype":"Q7","shape":[2],"data_offsets":[8,16]}}"#, 16, #"tensor "a", dtype: found "Q7""#),
        (#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]"#, 16, "line 1, column 54"),
    ])
    func refusalsSayWhatWasFoundAndWanted(header: String, data: Int, message: String) {
        let error = #expect(throws: FileError.self) { try Self.read(Self.file(header, data: data)) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix("test, byte ") == true)
    }

    @Test func cutAndBruisedFilesAreRefusedOrReadButNeverTrap() throws {
        let file = try golden("types.safetensors")
        bruise(file, header: file.count, whole: true) { _ = try SafetensorsFile($0, path: "test") }
    }

    @Test func dimensionsAreCapped() throws {
        func shape(_ count: Int) -> String { "[" + [String](repeating: "1", count: count).joined(separator: ",") + "]" }
        func file(_ count: Int) -> [UInt8] {
            Self.file(#"{"a":{"dtype":"F32","shape":\#(shape(count)),"data_offsets":[0,4]}}"#, data: 4)
        }
        #expect(try Self.read(file(8)).tensors.count == 1)
        #expect(throws: FileError.self) { try Self.read(file(9)) }
    }

    @Test func aRealModelIsFoundInItsDirectory() throws {
        guard let directory = sharedData("weights/stories260K/hf") else {
            print("skipped: no shared data")
            return
        }
        #expect(Safetensors.probe(directory) == 100)
        let checkpoint = try Safetensors(path: directory)
        #expect(checkpoint.tensors.count == 47)
        #expect(checkpoint.tensors.reduce(0) { $0 + $1.size } == 4 * 260_032)
        let embedding = try #require(checkpoint.tensors.first { $0.name == "model.embed_tokens.weight" })
        #expect(embedding.shape == [512, 64] && embedding.layout == "f32")
    }

    @Test(arguments: ["../evil.safetensors", "/etc/passwd", "a/../../b", "a\\b", "c:x", "a\u{0}b", "", "."])
    func anIndexCannotNameFilesOutside(name: String) throws {
        let directory = try TemporaryDirectory()
        let document: JSON = ["weight_map": ["a": .string(name)]]
        let path = try directory.file("model.safetensors.index.json", document.text())
        let error = #expect(throws: PluginError.self) { try Safetensors(path: directory.path) }
        #expect(error?.description.contains(#"weight_map."a""#) == true, "\(path): \(error?.description ?? "")")
    }

    @Test func anIndexWhoseTensorIsNotThereIsRefused() throws {
        let directory = try TemporaryDirectory()
        let header = #"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#
        _ = try directory.file("x.safetensors", Self.file(header))
        _ = try directory.file(
            "model.safetensors.index.json", #"{"weight_map":{"a":"x.safetensors","b":"x.safetensors"}}"#)
        let error = #expect(throws: PluginError.self) { try Safetensors(path: directory.path) }
        #expect(error?.message.contains(#"tensor "b": found nothing"#) == true)
        _ = try directory.file("model.safetensors.index.json", #"{"weight_map":{"a":"y.safetensors"}}"#)
        let second = #expect(throws: PluginError.self) { try Safetensors(path: directory.path) }
        #expect(second?.message.contains("y.safetensors") == true)
    }
}
