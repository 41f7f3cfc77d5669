import CZlib
import PluginKit

/// Gzip members one after the other (RFC 1952), each checked by its CRC.
final class GzipDecoder: StreamDecoder {
    /// zlib keeps a pointer to its stream, so that it must not move.
    private let stream: UnsafeMutablePointer<z_stream>
    private var isInsideMember = false
    private var hasSeenMember = false
    /// Found behind bytes that were still given.
    private var failure: BrokenStream?

    init() throws {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 15 bits of window, + 16 for the gzip wrapper.
        guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            throw PluginError(.outOfMemory, "zlib could not start")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func read(
        _ input: inout InputBuffer, from descriptor: Int32, _ path: String, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        while true {
            if let failure { throw failure }
            guard try input.fill(descriptor, path) else {
                if isInsideMember { throw BrokenStream(cause: "the gzip stream ends early: the file is cut short") }
                return 0
            }
            if !isInsideMember {
                if hasSeenMember {
                    // Writers to tape pad with zeros, which gzip itself passes over.
                    var padding = 0
                    input.use { bytes in
                        padding = bytes.prefix { $0 == 0 }.count
                        return padding
                    }
                    if padding > 0 { continue }
                }
                inflateReset(stream)
                isInsideMember = true
                hasSeenMember = true
            }
            var produced = 0
            var status = Z_OK
            input.use { bytes in
                stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
                stream.pointee.avail_in = UInt32(clamping: bytes.count)
                stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = UInt32(clamping: buffer.count)
                status = inflate(stream, Z_NO_FLUSH)
                produced = buffer.count - Int(stream.pointee.avail_out)
                return bytes.count - Int(stream.pointee.avail_in)
            }
            if status == Z_STREAM_END {
                isInsideMember = false
            } else if status != Z_OK && status != Z_BUF_ERROR {
                let detail = stream.pointee.msg.map { String(cString: $0) } ?? "status \(status)"
                failure = BrokenStream(cause: "the gzip stream is damaged: \(detail)")
            }
            if produced > 0 { return produced }
        }
    }
}
