import CheckpointsGGUF
import Files
import Testing

/// Files that broke other readers: each line of the review of past faults is one of them.
@Suite struct GGUFHostileTests {
    struct Case: CustomTestStringConvertible {
        let testDescription: String
        let message: String
        let file: [UInt8]
        init(_ name: String, _ message: String, _ change: (inout GGUFBuilder) -> Void) {
            testDescription = name
            self.message = message
            var builder = GGUFBuilder()
            builder.key("general.architecture", "llama")
            change(&builder)
            file = builder.file
        }
    }

    static let cases = [
        Case("string of SIZE_MAX bytes", "string length: found 18446744073709551615") {
            $0.key("a", 8, bytes(UInt64.max) + [65])
        },
        Case("string longer than the file", "wanted 1000 bytes") { $0.key("a", 8, bytes(UInt64(1000))) },
        Case("string above the cap", "wanted at most 67108864") { $0.key("a", 8, bytes(UInt64(64 << 20) + 1)) },
        Case("array whose size wraps", "element count: found 2305843009213693953") {
            $0.key("a", 9, bytes(UInt32(10)) + bytes(UInt64(1) << 61 + 1) + [UInt8](repeating: 0, count: 8))
        },
        Case("array longer than the file", "metadata \"a\"") {
            $0.key("a", 9, bytes(UInt32(0)) + bytes(UInt64(1) << 28))
        },
        Case("array of arrays", "an array of arrays") { $0.key("a", 9, bytes(UInt32(9)) + bytes(UInt64(1))) },
        Case("unknown value type", "type: found 13, wanted a type from 0 to 12") { $0.key("a", 13, []) },
        Case("boolean of 2", "found the byte 2, wanted 0 or 1") { $0.key("a", 7, [2]) },
        Case("key twice", "the key twice") { $0.key("general.architecture", "x") },
        Case("key of no bytes", "wanted 1 to 1024 bytes") { $0.key("", u32: 1) },
        Case("2^32-1 keys", "metadata count: found 4294967295") { $0.keyCount = UInt64(UInt32.max) },
        Case("2^64-1 keys", "below 2^63") { $0.keyCount = .max },
        Case("2^32-1 tensors", "tensor count: found 4294967295") { $0.tensorCount = UInt64(UInt32.max) },
        Case("one tensor too many", "tensor name") { $0.tensorCount = 1 },
        Case("version 1", "Version 1 was replaced") { $0.version = 1 },
        Case("version 0", "version: found") { $0.version = 0 },
        Case("version 4", "version: found 4") { $0.version = 4 },
        Case("big-endian file", "big-endian") { $0.version = UInt32(3).byteSwapped },
        Case("alignment 0", "general.alignment") { $0.key("general.alignment", u32: 0) },
        Case("alignment 33", "a power of two") { $0.key("general.alignment", u32: 33) },
        Case("alignment 2^31", "general.alignment") { $0.key("general.alignment", u32: 1 << 31) },
        Case("alignment of another type", "as u64") { $0.key("general.alignment", 10, bytes(UInt64(32))) },
        Case("dimensions whose product wraps", "below 2^63") {
            $0.tensor("a", [1 << 32, 1 << 32], type: 0, offset: 0)
        },
        Case("dimensions whose byte size wraps", "below 2^63") { $0.tensor("a", [1 << 62], type: 0, offset: 0) },
        Case("dimension of 2^64-1", "below 2^63") { $0.tensor("a", [.max], type: 0, offset: 0) },
        Case("five dimensions", "dimension count: found 5") { $0.tensor("a", [1, 1, 1, 1, 1], type: 0, offset: 0) },
        Case("unknown tensor type", "type: found 4") { $0.tensor("a", [1], type: 4, offset: 0) },
        Case("half a block", "rows of whole blocks of 32") { $0.tensor("a", [16, 2], type: 2, offset: 0) },
        Case("tensor beyond the file", "all of it within the file") { $0.tensor("a", [1000], type: 0, offset: 0) },
        Case("offset that wraps", "all of it within the file") {
            $0.tensor("a", [8], type: 0, offset: UInt64(Int.max) - 31)
        },
        Case("offset of 2^64-32", "below 2^63") { $0.tensor("a", [8], type: 0, offset: UInt64.max - 31) },
        Case("crooked offset", "a multiple of 32") {
            $0.data = [UInt8](repeating: 0, count: 64)
            $0.tensor("a", [8], type: 0, offset: 4)
        },
        Case("tensors over each other", "tensors apart from each other") {
            $0.data = [UInt8](repeating: 0, count: 128)
            $0.tensor("a", [16], type: 0, offset: 0)
            $0.tensor("b", [8], type: 0, offset: 32)
        },
        Case("tensor name twice", "the name twice") {
            $0.zeros("a", [8])
            $0.zeros("a", [8])
        },
    ]

    @Test(arguments: cases) func refused(_ item: Case) {
        let error = #expect(throws: FileError.self) {
            try item.file.withUnsafeBytes { _ = try GGUFFile($0, path: "test") }
        }
        #expect(error?.description.contains(item.message) == true, "\(error?.description ?? "")")
        #expect(error?.offset != nil)
    }

    @Test func cutAndBruisedFilesAreRefusedOrReadButNeverTrap() throws {
        let small = GGUFBuilder.small
        let count = try small.file.withUnsafeBytes { try GGUFFile($0, path: "test").tensorCount }
        #expect(count == 2)
        bruise(small.file, header: small.header.count, whole: true) { _ = try GGUFFile($0, path: "test") }
        let golden = try golden("types.gguf")
        bruise(golden, header: 1600, whole: false) { _ = try GGUFFile($0, path: "test") }
    }

    @Test func headsThatDoNotDivideTheRowsAreRefused() throws {
        let directory = try TemporaryDirectory()
        for heads: UInt32 in [0, 3, .max] {
            var builder = GGUFBuilder()
            builder.key("general.architecture", "llama")
            builder.key("llama.attention.head_count", u32: heads)
            builder.zeros("blk.0.attn_q.weight", [8, 4])
            let path = try directory.file("\(heads).gguf", builder.file)
            #expect(throws: (any Error).self) { try GGUF(path: path) }
        }
    }

    @Test func stacksOfAbsurdlyManyExpertsAreRefused() throws {
        let directory = try TemporaryDirectory()
        var builder = GGUFBuilder()
        builder.key("general.architecture", "qwen3moe")
        builder.tensor("blk.0.ffn_up_exps.weight", [0, 0, 1 << 40], type: 0, offset: 0)
        let path = try directory.file("a.gguf", builder.file)
        #expect(throws: (any Error).self) { try GGUF(path: path) }
    }
}
