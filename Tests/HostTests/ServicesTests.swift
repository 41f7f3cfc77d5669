import Foundation
import PluginAPI
import PluginKit
import Random
import Synchronization
import Testing

import Host

@Suite("Services")
struct ServicesTests {
    /// Known answers of Random123 1.14.0 (D. E. Shaw Research), kat_vectors, philox4x32 with 10 rounds.
    @Test(
        arguments: [
            ([0, 0, 0, 0], [0, 0], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
            (
                [0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF], [0xFFFF_FFFF, 0xFFFF_FFFF],
                [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]
            ),
            (
                [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344], [0xA409_3822, 0x299F_31D0],
                [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
            ),
        ] as [([UInt32], [UInt32], [UInt32])])
    func philoxGivesThePublishedWords(counter: [UInt32], key: [UInt32], words: [UInt32]) {
        let out = Philox.philox((counter[0], counter[1], counter[2], counter[3]), key: (key[0], key[1]))
        #expect([out.0, out.1, out.2, out.3] == words)
    }

    @Test func configReadsByPathAndNamesWhatIsWrong() throws {
        let services = Services()
        let config = try #require(service(services, MT_SERVICE_CONFIG, mt_config.self))
        var document: OpaquePointer?
        let text = #"{"a": {"b": [1, {"c": "x"}]}, "f": 2.5, "n": null}"#
        try checked { error in text.lent { config.parse(config.ctx, $0, &document, error) } }
        defer { config.close(config.ctx, document) }
        var integer: Int64 = 0
        try checked { error in "a.b[0]".lent { config.integer(config.ctx, document, $0, &integer, error) } }
        #expect(integer == 1)
        let string = try collected { sink in
            try checked { error in "a.b[1].c".lent { config.string(config.ctx, document, $0, sink, error) } }
        }
        #expect(String(decoding: string, as: UTF8.self) == "x")
        for (path, code, message) in [
            ("a.z", PluginError.Code.notFound, "a.z is absent"), ("n", .notFound, "n is null"),
            ("f", .invalid, "f is 2.5, wanted an integer"),
        ] {
            let failure = #expect(throws: PluginError.self) {
                try checked { error in path.lent { config.integer(config.ctx, document, $0, &integer, error) } }
            }
            #expect(failure?.code == code)
            #expect(failure?.message == message)
        }
    }

    @Test func filesAreMappedAndGivenBack() throws {
        let scratch = try Scratch()
        let path = try scratch.write("data", "hello")
        let files = try #require(service(Services(), MT_SERVICE_FILES, mt_files.self))
        var bytes = mt_bytes()
        try checked { error in path.lent { files.map(files.ctx, $0, &bytes, error) } }
        #expect(
            String(decoding: UnsafeRawBufferPointer(start: bytes.data, count: bytes.size), as: UTF8.self) == "hello")
        files.unmap(files.ctx, bytes)
        #expect(throws: PluginError.self) {
            try checked { error in "/nonexistent".lent { files.map(files.ctx, $0, &bytes, error) } }
        }
    }

    /// A plugin's message is one line, whatever it holds.
    @Test func theLogTakesOneLineAMessage() throws {
        let lines = Lines()
        let services = Services(
            log: Log(least: .debug) { _, source, message in lines.add("\(source): \(message)") })
        let log = try #require(service(services, MT_SERVICE_LOG, mt_log.self))
        "a\nb".lent { source in "one\ntwo\u{1B}[31m é".lent { log.write(log.ctx, MT_LOG_INFO, source, $0) } }
        #expect(lines.all == ["a b: one two [31m é"])
    }

    /// What a plugin writes to a sink is bounded by sense: a size that is a negative number in disguise is its failure.
    @Test func aSinkRefusesSizesThatCannotBe() throws {
        var outcomes: [mt_status] = []
        let bytes = try collected { sink in
            var error = mt_error()
            for (data, size) in [("abc", 3), ("abc", -1), ("abc", Int.max), ("", 0)] {
                data.lent { text in outcomes.append(sink.write(sink.ctx, text.data, size, &error)) }
            }
            outcomes.append(sink.write(sink.ctx, nil, 5, &error))
        }
        #expect(outcomes == [MT_OK, MT_INVALID, MT_INVALID, MT_OK, MT_INVALID])
        #expect(bytes == Array("abc".utf8))
    }

    @Test func aRoomAddsItsOwnService() throws {
        let services = Services()
        var table = mt_threads()
        table.struct_size = 24
        services.register("test.service/1", table)
        #expect(service(services, "test.service/1", mt_threads.self)?.struct_size == 24)
        #expect(service(services, "test.unknown/1", mt_threads.self) == nil)
    }

    private func service<Table>(_ services: Services, _ id: String, _ type: Table.Type) -> Table? {
        id.lent { services.handle.pointee.service(services.handle, $0) }?.load(as: Table.self)
    }
}

/// Lines of a log.
private final class Lines: Sendable {
    private let kept = Mutex<[String]>([])
    func add(_ line: String) { kept.withLock { $0.append(line) } }
    var all: [String] { kept.withLock { $0 } }
}
