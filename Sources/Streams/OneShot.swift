import CZlib
import CZstd

/// Decompresses whole blocks whose size is known.
package enum OneShot {
    /// A gzip member or zlib stream; nil unless it gives exactly `size` bytes.
    package static func gzip(_ input: UnsafeRawBufferPointer, size: Int) -> [UInt8]? {
        var stream = z_stream()
        // 15 bits of window, + 32 to tell gzip from zlib.
        guard inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return nil
        }
        defer { inflateEnd(&stream) }
        var isWhole = false
        let out = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.avail_in = UInt32(clamping: input.count)
            stream.next_out = buffer.baseAddress
            stream.avail_out = UInt32(clamping: size)
            isWhole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_out == 0
            count = size - Int(stream.avail_out)
        }
        return isWhole && out.count == size ? out : nil
    }

    /// A Zstandard frame; nil unless it gives exactly `size` bytes.
    package static func zstd(_ input: UnsafeRawBufferPointer, size: Int) -> [UInt8]? {
        var result = 0
        let out = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            result = ZSTD_decompress(buffer.baseAddress, size, input.baseAddress, input.count)
            count = ZSTD_isError(result) != 0 ? 0 : min(result, size)
        }
        return ZSTD_isError(result) == 0 && out.count == size ? out : nil
    }
}
