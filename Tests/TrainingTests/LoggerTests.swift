import Glibc
import Host
import JSON
import Testing
import Training

/// What loggers leave behind, read by other means than theirs.
@Suite(.serialized) struct LoggerTests {
    let components: Registry
    let scratch = Scratch()

    init() throws { components = Registry(try .standard()) }

    private func log(_ id: String, _ records: [String]) throws {
        let logger = try LoggerHandle(
            id: id, directory: scratch.path, run: "test", configuration: ["seed": 42], components: components)
        for record in records { try logger.event(record) }
        try logger.flush()
    }

    private func file(in folder: String, _ isWanted: (String) -> Bool) throws -> String {
        let handle = try #require(opendir("\(scratch.path)/\(folder)"))
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if isWanted(name) { return "\(scratch.path)/\(folder)/\(name)" }
        }
        throw TrainingError(.notFound, "no such file", at: folder)
    }

    /// CRC-32C of "123456789" is E3069283 (RFC 3720); computed here bit by bit.
    private func crc(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(UInt32.max) { crc, byte in
            (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
        }
    }

    @Test func eventFilesHoldTheScalarsInFramesWithTheirSums() throws {
        #expect(crc("123456789".utf8) == 0xE306_9283)
        try log(
            "tensorboard",
            [
                #"{"step": 1, "time": 1700000000.5, "loss": 2.5, "note": "x"}"#,
                #"{"step": 300, "time": 1700000001, "eval_loss": 1.25}"#,
            ])
        let bytes = contents(try file(in: "runs") { $0.hasPrefix("events.out.tfevents.") })
        func masked(_ span: ArraySlice<UInt8>) -> UInt32 {
            let value = crc(span)
            return (value >> 15 | value << 17) &+ 0xA282_EAD8
        }
        func number<T: FixedWidthInteger>(_ type: T.Type, _ at: Int) -> T {
            bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: T.self)) }
        }
        var at = 0
        var frames: [ArraySlice<UInt8>] = []
        while at < bytes.count {
            let length = Int(number(UInt64.self, at))
            #expect(number(UInt32.self, at + 8) == masked(bytes[at..<at + 8]))
            frames.append(bytes[at + 12..<at + 12 + length])
            #expect(number(UInt32.self, at + 12 + length) == masked(frames[frames.count - 1]))
            at += 16 + length
        }
        #expect(at == bytes.count && frames.count == 4)
        #expect(String(decoding: frames[0], as: UTF8.self).contains("brain.Event:2"))
        // Event: 1 wall time (fixed64), 2 step (varint), 5 summary { 1 value { 1 tag, 2 simple_value (fixed32) } }.
        func bits<T>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value, Array.init) }
        func event(_ time: Double, _ step: [UInt8], _ tag: String, _ value: Float) -> [UInt8] {
            let inner = [0x0A, UInt8(tag.utf8.count)] + Array(tag.utf8) + [0x15] + bits(value)
            let summary = [0x0A, UInt8(inner.count)] + inner
            return [0x09] + bits(time) + [0x10] + step + [0x2A, UInt8(summary.count)] + summary
        }
        #expect(Array(frames[2]) == event(1_700_000_000.5, [1], "train/loss", 2.5))
        #expect(Array(frames[3]) == event(1_700_000_001, [0xAC, 0x02], "eval/loss", 1.25))
    }

    @Test func curvesAreDrawnAsPNGAndSVG() throws {
        try log("plot", (1...40).map { "{\"step\": \($0), \"loss\": \(3.0 / Double($0)), \"time\": 1}" })
        let svg = String(decoding: contents(try file(in: "images") { $0 == "train_loss.svg" }), as: UTF8.self)
        #expect(svg.hasPrefix("<svg") && svg.hasSuffix("</svg>\n"))
        let points = svg.split(separator: "points=\"").dropFirst().map {
            $0.prefix { $0 != "\"" }.split(separator: " ").count
        }
        #expect(points == [40, 40])
        let png = contents(try file(in: "images") { $0 == "train_loss.png" })
        #expect(png.prefix(8) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
        // IHDR: width 800, height 480, 8 bits, RGB.
        #expect(png[16..<26] == [0, 0, 3, 32, 0, 0, 1, 224, 8, 2])
        #expect(throws: TrainingError.self) { try file(in: "images") { $0.hasSuffix(".partial") } }
    }

    @Test func theIndexOfRunsKnowsWhatWasLogged() throws {
        let index = try RunIndex(scratch.path + "/deep/index.sqlite")
        try index.begin(name: "first", directory: scratch.path, arguments: ["seed": 1], continues: false)
        let log = try RunLog(directory: scratch.path, continues: false, index: index)
        try log.write(["step": 1, "loss": 2.5])
        try log.write(["step": 2, "loss": 1.5, "eval_loss": 3])
        try log.close("finished")
        let entries = try RunIndex(scratch.path + "/deep/index.sqlite").entries()
        #expect(entries.count == 1)
        let entry = try #require(entries.first)
        #expect(entry.name == "first" && entry.status == "finished" && entry.steps == 2)
        #expect(entry.metrics == ["loss": 1.5, "eval_loss": 3] && entry.arguments["seed"]?.int == 1)
        #expect(try index.values(entry.id, "loss").map(\.value) == [2.5, 1.5])
        // Going on adds to the same run; this process is there, and says how it ends.
        try index.begin(name: "first", directory: scratch.path, arguments: [:], continues: true)
        #expect(try index.entries().map(\.status) == ["running"])
        log.fail(TrainingError(.invalid, "of no use\nat all", at: "row 3"))
        #expect(try index.entries().map(\.status) == ["failed: row 3: of no use"])
        #expect(contents(scratch.path + "/logging.jsonl").split(separator: 10).count == 2)
    }
}
