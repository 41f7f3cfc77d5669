import CheckpointsSafetensors
import Files
import Foundation
import JSON
import PluginKit
import Testing

@Suite struct SafetensorsWriterTests {
    static let tensors = [
        TensorEntry(name: "norm", layout: "bf16", shape: [3], size: 6),
        TensorEntry(name: "weight", layout: "f32", shape: [2, 3], size: 24),
        TensorEntry(name: "ids", layout: "i64", shape: [2], size: 16),
        TensorEntry(name: "empty", layout: "f16", shape: [0, 5], size: 0),
    ]

    static func content(_ i: Int) -> [UInt8] { (0..<Int(tensors[i].size)).map { UInt8(i * 64 + $0) } }

    static func write(_ path: String, _ options: JSON, count: Int = tensors.count) throws -> any CheckpointWriter {
        let writer = try Safetensors.create(path: path, options: options, tensors: tensors)
        for i in 0..<count { try content(i).withUnsafeBytes { try writer.write($0) } }
        return writer
    }

    static func expectContent(_ path: String) throws {
        let checkpoint = try Safetensors(path: path)
        #expect(Set(checkpoint.tensors.map(\.name)) == Set(tensors.map(\.name)))
        for (i, tensor) in tensors.enumerated() {
            let read = try #require(checkpoint.tensors.first { $0.name == tensor.name })
            #expect(read.shape == tensor.shape && read.layout == tensor.layout)
            let file = try MappedFile(checkpoint.files[read.file])
            #expect(Array(file.bytes[Int(read.offset)..<Int(read.offset + read.size)]) == content(i))
            if tensor.layout == "i64" { #expect(read.offset % 8 == 0) }
        }
    }

    @Test func oneFileIsWrittenAndReadBack() throws {
        let directory = try TemporaryDirectory()
        try Self.write(directory.path + "/new/deep", ["metadata": ["step": 7]]).finish()
        try Self.expectContent(directory.path + "/new/deep")
        let described = try Safetensors(path: directory.path + "/new/deep/model.safetensors").describe()
        #expect(described["metadata"]?["format"] == "pt" && described["metadata"]?["step"] == "7")
        try Self.write(directory.path + "/adapter_model.safetensors", [:]).finish()
        try Self.expectContent(directory.path)
        #expect(try System.list(directory.path) == ["adapter_model.safetensors", "new"])
    }

    @Test func shardsKeepWithinTheirSizeAndComeWithAnIndex() throws {
        let directory = try TemporaryDirectory()
        try Self.write(directory.path, [:]).finish()
        try Self.write(directory.path, ["max_shard_bytes": 30]).finish()
        #expect(
            try System.list(directory.path) == [
                "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
            ])
        let index = try JSON(
            parsing: Array(try Data(contentsOf: URL(fileURLWithPath: directory.path + "/model.safetensors.index.json")))
        )
        #expect(index["metadata"]?["total_size"] == 46)
        #expect(index["weight_map"]?["ids"] == "model-00002-of-00002.safetensors")
        try Self.expectContent(directory.path)
    }

    @Test func anUnfinishedWriteLeavesTheOldFilesAndNothingElse() throws {
        let directory = try TemporaryDirectory()
        try Self.write(directory.path, [:]).finish()
        let before = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/model.safetensors"))
        let writer = try Self.write(directory.path, [:], count: 2)
        #expect(throws: PluginError.self) { try writer.finish() }
        writer.abandon()
        #expect(try System.list(directory.path) == ["model.safetensors"])
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.path + "/model.safetensors")) == before)
    }

    @Test func whatTheFormatCannotHoldIsRefused() throws {
        let directory = try TemporaryDirectory()
        let cases = [
            ([TensorEntry(name: "a", layout: "q4_0", shape: [32], size: 18)], "the layout q4_0"),
            ([TensorEntry(name: "a", layout: "f32", shape: [2], size: 9)], "found 9 bytes"),
            ([Self.tensors[0], Self.tensors[0]], "the name twice"),
        ]
        for (tensors, message) in cases {
            let error = #expect(throws: PluginError.self) {
                try Safetensors.create(path: directory.path, options: [:], tensors: tensors)
            }
            #expect(error?.message.contains(message) == true)
        }
        let writer = try Safetensors.create(path: directory.path, options: [:], tensors: Self.tensors)
        #expect(throws: PluginError.self) {
            try [UInt8](repeating: 0, count: 5).withUnsafeBytes { try writer.write($0) }
        }
    }
}
