import CZstd
import PluginKit

/// Zstandard frames one after the other (RFC 8878).
final class ZstdDecoder: StreamDecoder {
    private let context: OpaquePointer
    private var isInsideFrame = false
    /// Found behind bytes that were still given.
    private var failure: BrokenStream?
    /// Largest window a frame may ask for: 2^27 bytes, as the zstd tool without --long.
    private static let windowLog: Int32 = 27

    init() throws {
        guard let context = ZSTD_createDCtx() else { throw PluginError(.outOfMemory, "zstd could not start") }
        self.context = context
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.windowLog)
    }

    deinit { ZSTD_freeDCtx(context) }

    func read(
        _ input: inout InputBuffer, from descriptor: Int32, _ path: String, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        while true {
            if let failure { throw failure }
            let more = try input.fill(descriptor, path)
            if !more, !isInsideFrame { return 0 }
            var produced = 0
            var status = 0
            input.use { bytes in
                var source = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
                var target = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
                status = ZSTD_decompressStream(context, &target, &source)
                produced = target.pos
                return source.pos
            }
            if ZSTD_isError(status) != 0 {
                failure = BrokenStream(
                    cause: "the zstd stream is damaged: \(String(cString: ZSTD_getErrorName(status)))")
            }
            isInsideFrame = status != 0
            if produced > 0 || failure != nil {
                if produced > 0 { return produced }
                continue
            }
            if !more { throw BrokenStream(cause: "the zstd stream ends early: the file is cut short") }
        }
    }
}
