/// A cursor over little-endian bytes of a file from outside; each step is checked against the end.
package struct ByteReader {
    package let bytes: UnsafeRawBufferPointer
    package let path: String
    package private(set) var position: Int

    package init(_ bytes: UnsafeRawBufferPointer, path: String, at position: Int = 0) {
        self.bytes = bytes
        self.path = path
        self.position = min(max(position, 0), bytes.count)
    }

    package var remaining: Int { bytes.count - position }

    /// The next `count` bytes, passed over.
    package mutating func take(_ count: Int, _ field: @autoclosure () -> String) throws(FileError)
        -> UnsafeRawBufferPointer
    {
        guard count >= 0, count <= remaining else {
            throw FileError(
                path, at: position, field(), found: "\(remaining) bytes to the end of the file",
                wanted: "\(count) bytes", fix: "The file is cut short or damaged; fetch it again.")
        }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    package mutating func skip(_ count: Int, _ field: @autoclosure () -> String) throws(FileError) {
        _ = try take(count, field())
    }

    package mutating func integer<T: FixedWidthInteger>(
        _ type: T.Type, _ field: @autoclosure () -> String
    ) throws(FileError) -> T {
        T(littleEndian: try take(MemoryLayout<T>.size, field()).loadUnaligned(as: T.self))
    }

    /// A u64 that counts or measures something in memory, so that it must fit in 63 bits.
    package mutating func length(_ field: @autoclosure () -> String) throws(FileError) -> Int {
        let start = position
        let value = try integer(UInt64.self, field())
        guard let length = Int(exactly: value) else {
            throw FileError(path, at: start, field(), found: "\(value)", wanted: "a number below 2^63")
        }
        return length
    }
}

/// The product of non-negative numbers, or nil when it leaves 63 bits or a factor is negative.
package func checkedProduct(_ factors: some Sequence<Int>) -> Int? {
    var product = 1
    var hasZero = false
    for factor in factors {
        if factor < 0 { return nil }
        if factor == 0 {
            hasZero = true
            continue
        }
        let (next, overflow) = product.multipliedReportingOverflow(by: factor)
        if overflow { return nil }
        product = next
    }
    return hasZero ? 0 : product
}

/// `a + b`, or nil when it leaves 63 bits.
package func checkedSum(_ a: Int, _ b: Int) -> Int? {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? nil : sum
}

/// `value` rounded up to a multiple of `alignment` (a power of two), or nil when it leaves 63 bits.
package func alignedUp(_ value: Int, to alignment: Int) -> Int? {
    checkedSum(value, alignment - 1).map { $0 & ~(alignment - 1) }
}
