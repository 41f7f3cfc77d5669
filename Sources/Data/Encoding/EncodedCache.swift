import Files
import Glibc
import JSON
import Threads

/// Encoded rows kept from run to run, found by their content.
///
/// One append-only file for each encoder: `magic, then records of [length u32][key 16 bytes][payload][check u32]`, little-
/// endian. A key is made of the row's text and schema; the file's name of the encoder's identity. A record cut short by
/// a crash ends the file; what follows is written over it. One process at a time writes.
package final class EncodedCache: @unchecked Sendable {
    private struct Key: Hashable {
        var a: UInt64
        var b: UInt64
    }
    private static let magic: [UInt8] = Array("MTENC001".utf8)
    private let path: String
    private let descriptor: Int32
    private let isWriter: Bool
    private let monitor = Monitor()
    private var index: [Key: (offset: Int, length: Int)] = [:]
    private var end = 0

    /// - Parameters:
    ///   - directory: Made when it is missing.
    ///   - identity: `RowEncoder.identity`.
    package init(directory: String, identity: String) throws {
        try System.makeDirectories(directory)
        let name = ContentHash.of(Array(identity.utf8))
        path = System.join(directory, "encoded-\(String(name.0, radix: 16))\(String(name.1, radix: 16)).bin")
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw System.error(path, "opening", wanted: "a file that may be written") }
        isWriter = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        load()
    }

    deinit { close(descriptor) }

    package var count: Int { monitor.locked { index.count } }

    func example(for row: SourceRow, _ schema: RowSchema) throws -> EncodedExample? {
        let key = Self.key(row, schema)
        guard let place = monitor.locked({ index[key] }) else { return nil }
        guard let payload = read(place.length, at: place.offset) else { return nil }
        return Self.decode(payload)
    }

    func keep(_ example: EncodedExample, for row: SourceRow, _ schema: RowSchema) throws {
        guard isWriter else { return }
        let key = Self.key(row, schema)
        let payload = Self.encode(example)
        var record: [UInt8] = []
        Self.append(UInt32(payload.count), &record)
        Self.append(key.a, &record)
        Self.append(key.b, &record)
        record += payload
        Self.append(UInt32(truncatingIfNeeded: ContentHash.of(payload).0), &record)
        try monitor.locked {
            guard index[key] == nil else { return }
            var done = 0
            while done < record.count {
                let count = record.withUnsafeBytes { bytes in
                    bytes.baseAddress.map { pwrite(descriptor, $0 + done, record.count - done, off_t(end + done)) } ?? 0
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw System.error(path, "writing the cache", wanted: "free space on the disk") }
                done += count
            }
            index[key] = (end + 20, payload.count)
            end += record.count
        }
    }

    private func load() {
        let size = System.size(of: path) ?? 0
        if read(Self.magic.count, at: 0) != Self.magic {
            // Foreign or empty: start over if it is ours to write.
            if isWriter, ftruncate(descriptor, 0) == 0 {
                _ = Self.magic.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
            }
            end = Self.magic.count
            return
        }
        end = Self.magic.count
        while let head = read(20, at: end) {
            let length = Int(Self.load(UInt32.self, head, 0))
            guard end + 24 + length <= size, let payload = read(length + 4, at: end + 20),
                Self.load(UInt32.self, payload, length)
                    == UInt32(truncatingIfNeeded: ContentHash.of(Array(payload.prefix(length))).0)
            else { break }
            index[Key(a: Self.load(UInt64.self, head, 4), b: Self.load(UInt64.self, head, 12))] = (end + 20, length)
            end += 24 + length
        }
    }

    private func read(_ count: Int, at offset: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { pread(descriptor, $0 + done, count - done, off_t(offset + done)) } ?? 0
            }
            if got < 0, errno == EINTR { continue }
            if got <= 0 { return nil }
            done += got
        }
        return bytes
    }

    private static func key(_ row: SourceRow, _ schema: RowSchema) -> Key {
        let hash = ContentHash.of(row.text + Array(schema.identity.utf8))
        return Key(a: hash.0, b: hash.1)
    }

    // MARK: Payload: kind u8, flags u8, label f32, margin f32, then each sequence as count, prompt, ids, weights.

    private static func encode(_ example: EncodedExample) -> [UInt8] {
        var out: [UInt8] = [example.kind.rawValue, (example.label == nil ? 0 : 1) | (example.margin == nil ? 0 : 2)]
        append((example.label ?? 0).bitPattern, &out)
        append((example.margin ?? 0).bitPattern, &out)
        for sequence in example.sequences {
            append(UInt32(sequence.count), &out)
            append(UInt32(sequence.promptLength), &out)
            for id in sequence.ids { append(UInt32(bitPattern: id), &out) }
            for weight in sequence.weights { append(weight.bitPattern, &out) }
        }
        return out
    }

    private static func decode(_ bytes: [UInt8]) -> EncodedExample? {
        guard bytes.count >= 10, let kind = EncodedExample.Kind(rawValue: bytes[0]) else { return nil }
        var sequences: [EncodedSequence] = []
        var at = 10
        while at + 8 <= bytes.count {
            let count = Int(load(UInt32.self, bytes, at))
            let prompt = Int(load(UInt32.self, bytes, at + 4))
            at += 8
            guard count <= (bytes.count - at) / 8, prompt <= count else { return nil }
            sequences.append(
                EncodedSequence(
                    ids: (0..<count).map { Int32(bitPattern: load(UInt32.self, bytes, at + 4 * $0)) },
                    weights: (0..<count).map { Float(bitPattern: load(UInt32.self, bytes, at + 4 * (count + $0))) },
                    promptLength: prompt))
            at += 8 * count
        }
        guard sequences.count == (kind == .pair ? 2 : 1), at == bytes.count else { return nil }
        return EncodedExample(
            kind, sequences: sequences,
            label: bytes[1] & 1 != 0 ? Float(bitPattern: load(UInt32.self, bytes, 2)) : nil,
            margin: bytes[1] & 2 != 0 ? Float(bitPattern: load(UInt32.self, bytes, 6)) : nil)
    }

    private static func append<T: FixedWidthInteger>(_ value: T, _ out: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { out.append(contentsOf: $0) }
    }

    private static func load<T: FixedWidthInteger>(_ type: T.Type, _ bytes: [UInt8], _ at: Int) -> T {
        bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: T.self)) }
    }
}
