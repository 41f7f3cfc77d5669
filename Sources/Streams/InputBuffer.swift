import Glibc
import PluginKit

/// Bytes read from a file and not yet used.
struct InputBuffer {
    private var bytes: [UInt8] = []
    private(set) var start = 0
    private var isAtEnd = false
    private static let blockSize = 1 << 18

    var available: Int { bytes.count - start }

    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        start = 0
        isAtEnd = false
    }

    /// Shows the first bytes without using them.
    mutating func peek<Result>(
        _ descriptor: Int32, _ path: String, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
    ) throws -> Result {
        try fill(descriptor, path)
        return try bytes.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[start...])) }
    }

    /// Reads a block when nothing is left; false at the file's end.
    @discardableResult mutating func fill(_ descriptor: Int32, _ path: String) throws -> Bool {
        if available > 0 { return true }
        if isAtEnd { return false }
        start = 0
        var failure: Int32 = 0
        bytes = [UInt8](unsafeUninitializedCapacity: Self.blockSize) { buffer, count in
            let got = retrying { Glibc.read(descriptor, buffer.baseAddress, Self.blockSize) }
            if got < 0 { failure = errno }
            count = max(0, got)
        }
        if failure != 0 {
            throw PluginError(.io, "reading failed: \(String(cString: strerror(failure)))", at: path)
        }
        isAtEnd = bytes.isEmpty
        return !isAtEnd
    }

    /// Lends what is left; `body` says how many bytes of it are used.
    mutating func use(_ body: (UnsafeBufferPointer<UInt8>) throws -> Int) rethrows {
        start += try bytes.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[start...])) }
    }

    /// Uncompressed bytes: first what was read already, then straight from the file.
    mutating func read(_ descriptor: Int32, _ path: String, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if available > 0 {
            let count = min(available, buffer.count)
            use {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[..<count]))
                return count
            }
            return count
        }
        let got = retrying { Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
        if got < 0 { throw PluginError(.io, "reading failed: \(String(cString: strerror(errno)))", at: path) }
        return got
    }
}

private func retrying(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR { return result }
    }
}
