import CheckpointsPyTorch
import CheckpointsSafetensors
import Files
import Foundation
import JSON
import PluginKit
import Testing

@Suite struct PyTorchTests {
    static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Goldens/pytorch/" + name
    }

    static func content(_ checkpoint: any Checkpoint) throws -> [String: [UInt8]] {
        let maps = try checkpoint.files.map { try MappedFile($0) }
        return Dictionary(
            uniqueKeysWithValues: checkpoint.tensors.map {
                ($0.name, Array(maps[$0.file].bytes[Int($0.offset)..<Int($0.offset + $0.size)]))
            })
    }

    @Test func tensorsAreThoseOfTheSafetensorsTwin() throws {
        #expect(PyTorch.probe(Self.path("state.bin")) == 80)
        let one = try PyTorch(path: Self.path("state.bin"))
        let other = try Safetensors(path: Self.path("state.safetensors"))
        #expect(one.tensors.count == 16)
        #expect(try Self.content(one) == Self.content(other))
        for entry in one.tensors {
            let twin = try #require(other.tensors.first { $0.name == entry.name })
            #expect(entry.layout == twin.layout && entry.shape == twin.shape, "\(entry.name)")
        }
    }

    @Test func aTrainersWrapperIsLookedThrough() throws {
        let checkpoint = try PyTorch(path: Self.path("wrapped.pt"))
        #expect(checkpoint.tensors.map(\.name) == ["weight", "bias"])
        #expect(checkpoint.tensors.map(\.shape) == [[3, 2], [3]])
    }

    @Test(arguments: [
        ("code.bin", #"the global "posix.system", wanted tensors and nothing else"#),
        ("legacy.bin", "a pickle of PyTorch before 1.6"), ("strided.bin", ".contiguous()"),
    ])
    func otherThingsAreRefusedWithTheirName(file: String, message: String) {
        let error = #expect(throws: PluginError.self) { try PyTorch(path: Self.path(file)) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        #expect(error?.message.hasPrefix("byte ") == true)
    }

    @Test func shardsAreJoinedByTheirIndex() throws {
        let directory = try TemporaryDirectory()
        for (from, to) in [
            ("state.bin", "pytorch_model-00001-of-00002.bin"), ("wrapped.pt", "pytorch_model-00002-of-00002.bin"),
        ] {
            try FileManager.default.copyItem(atPath: Self.path(from), toPath: directory.path + "/" + to)
        }
        _ = try directory.file(
            "pytorch_model.bin.index.json",
            #"{"weight_map": {"view": "pytorch_model-00001-of-00002.bin", "bias": "pytorch_model-00002-of-00002.bin"}}"#
        )
        #expect(PyTorch.probe(directory.path) == 80)
        let checkpoint = try PyTorch(path: directory.path)
        #expect(checkpoint.tensors.count == 18 && checkpoint.tensors.last?.file == 1)
    }

    @Test func cutAndBruisedFilesAreRefusedOrReadButNeverTrap() throws {
        let file = Array(try Data(contentsOf: URL(fileURLWithPath: Self.path("wrapped.pt"))))
        bruise(file, header: file.count, whole: true) { _ = try PyTorchFile($0, path: "test") }
    }

    // MARK: Pickles spelled by hand

    /// A zip archive of stored entries.
    static func zip(_ entries: [(String, [UInt8])]) -> [UInt8] {
        var out: [UInt8] = []
        var directory: [UInt8] = []
        for (name, data) in entries {
            let sizes = bytes(UInt32(0)) + bytes(UInt32(data.count)) + bytes(UInt32(data.count))
            let common = [UInt8](repeating: 0, count: 8) + sizes + bytes(UInt16(name.utf8.count)) + bytes(UInt16(0))
            directory +=
                bytes(UInt32(0x0201_4b50)) + bytes(UInt16(0)) + bytes(UInt16(0)) + common
                + [UInt8](repeating: 0, count: 10) + bytes(UInt32(out.count)) + Array(name.utf8)
            out += bytes(UInt32(0x0403_4b50)) + bytes(UInt16(0)) + common + Array(name.utf8) + data
        }
        let count = bytes(UInt16(entries.count))
        return out + directory + bytes(UInt32(0x0605_4b50)) + bytes(UInt32(0)) + count + count
            + bytes(UInt32(directory.count)) + bytes(UInt32(out.count)) + bytes(UInt16(0))
    }

    static func read(pickle: [UInt8], storage: [UInt8] = []) throws -> [TensorEntry] {
        try zip([("a/data.pkl", [0x80, 2] + pickle), ("a/data/0", storage)]).withUnsafeBytes {
            try PyTorchFile($0, path: "test").tensors
        }
    }

    static func pickle(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// {"x": a tensor of f32 `shape` at `offset` in a storage of `count` elements}
    static func tensor(offset: UInt8, shape: UInt8, stride: UInt8, count: UInt8) -> [UInt8] {
        var out = pickle(
            "}U\u{1}xctorch._utils\n_rebuild_tensor_v2\n((U\u{7}storagectorch\nFloatStorage\nU\u{1}0U\u{3}cpuK")
        out += [count] + pickle("tQK") + [offset] + pickle("K") + [shape, 0x85] + pickle("K") + [stride, 0x85, 0x89]
        return out + pickle("NtRs.")
    }

    @Test func aTensorMustLieInItsStorage() throws {
        let storage = [UInt8](repeating: 0, count: 16)
        let good = try Self.read(pickle: Self.tensor(offset: 1, shape: 3, stride: 1, count: 4), storage: storage)
        #expect(good.map(\.shape) == [[3]] && good[0].size == 12)
        for (offset, shape, stride, count) in [(2, 3, 1, 4), (0, 5, 1, 4), (0, 5, 1, 5), (0, 2, 0, 4)] {
            let pickle = Self.tensor(
                offset: UInt8(offset), shape: UInt8(shape), stride: UInt8(stride), count: UInt8(count))
            #expect(throws: FileError.self) { try Self.read(pickle: pickle, storage: storage) }
        }
    }

    @Test(arguments: [
        ("cbuiltins\neval\n.", #"the global "builtins.eval""#),
        ("ctorch\nload\n.", #"the global "torch.load""#),
        ("U\u{2}osU\u{6}system\u{93}.", #"the global "os.system""#),
        ("ios\nsystem\n.", "the opcode 69"), ("}(I1\n.", "the opcode 49"),
        ("ccollections\nOrderedDict\n(U\u{1}atR.", "OrderedDict with arguments"),
        ("ctorch\nFloatStorage\n)R.", "a call of a storage class"), ("h\u{5}.", "no value 5 in the memo"),
        (".", "an empty stack"), ("(.", "a mark"), ("0.", "an empty stack"), ("tR.", "no mark"),
        ("]}b.", "wanted a dictionary"),
        ("K\u{1}Nb.", "BUILD of an int"), ("}(K\u{1}u.", "1 items"), ("(K\u{1}K\u{2}tQ.", "another persistent object"),
        ("N.", "found None"), ("}U\u{1}aK\u{1}s.", "1 other things"),
    ])
    func picklesOfOtherThingsAreRefused(text: String, message: String) {
        // "\u{93}" in Swift text is two bytes of UTF-8, and one in a pickle.
        let pickle = text.unicodeScalars.map { UInt8($0.value) }
        let error = #expect(throws: FileError.self) { try Self.read(pickle: pickle) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test func aPickleThatHoldsItselfOrMillionsIsRefusedQuickly() throws {
        // A list in itself, and a dictionary under its own key.
        #expect(throws: FileError.self) { try Self.read(pickle: Self.pickle("]q\u{0}h\u{0}a.")) }
        #expect(throws: FileError.self) { try Self.read(pickle: Self.pickle("}q\u{0}U\u{5}modelh\u{0}s.")) }
        let many = [UInt8](repeating: UInt8(ascii: "]"), count: 2_000_000)
        let error = #expect(throws: FileError.self) { try Self.read(pickle: many) }
        #expect(error?.found.contains("1048576 values") == true)
    }
}
