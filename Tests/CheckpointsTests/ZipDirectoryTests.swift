import Files
import Testing

@Suite struct ZipDirectoryTests {
    static let good = PyTorchTests.zip([("a", [1, 2, 3]), ("b/c", [4])])

    static func read(_ file: [UInt8]) throws -> ZipDirectory {
        try file.withUnsafeBytes { try ZipDirectory($0, path: "test") }
    }

    @Test func entriesAreFound() throws {
        let zip = try Self.read(Self.good)
        #expect(zip.entries.map(\.name) == ["a", "b/c"])
        #expect(zip["b/c"].map { Array(Self.good[$0.range]) } == [4])
    }

    @Test func cutAndBruisedArchivesAreRefusedOrReadButNeverTrap() {
        bruise(Self.good, header: Self.good.count, whole: true) { _ = try ZipDirectory($0, path: "test") }
    }

    /// Two entries on the same bytes are how small archives unfold into huge ones.
    @Test func entriesOverEachOtherAreRefused() throws {
        var file = Self.good
        let second = try #require(Self.index(of: [0x50, 0x4B, 1, 2], in: file, number: 1))
        // The second entry takes the name, size and place of the first but for one letter of neither.
        let first = try #require(Self.index(of: [0x50, 0x4B, 1, 2], in: file, number: 0))
        file.replaceSubrange(second + 20..<second + 28, with: file[first + 20..<first + 28])
        #expect(throws: FileError.self) { try Self.read(file) }
    }

    @Test(arguments: [(8, 1, "flags 1"), (10, 99, "method 99"), (34, 1, "disk 1"), (42, 200, "an offset of 200")])
    func entriesThatCannotBeReadAreRefused(at: Int, value: Int, message: String) throws {
        var file = Self.good
        let entry = try #require(Self.index(of: [0x50, 0x4B, 1, 2], in: file, number: 0))
        file[entry + at] = UInt8(value)
        let error = #expect(throws: FileError.self) { try Self.read(file) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    static func index(of mark: [UInt8], in file: [UInt8], number: Int) -> Int? {
        let places = file.indices.dropLast(3).filter { Array(file[$0..<$0 + 4]) == mark }
        return number < places.count ? places[number] : nil
    }
}
