import Glibc
import PluginKit

/// A part of a byte source in memory that can be looked at, made longer and passed over.
///
/// 64 readable bytes stand behind its end, which fast JSON readers need.
package final class ByteWindow {
    package let source: ByteSource
    /// The bytes in view.
    package private(set) var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var start = 0
    private var end = 0
    /// Newlines passed over so far.
    package private(set) var newlines = 0
    /// Why no more bytes came, where that was not the end.
    package private(set) var broken: BrokenStream?
    private var isAtEnd = false
    /// Most bytes that a view may hold.
    package let limit: Int
    package static let padding = 64
    private static let step = 1 << 20

    package init(_ path: String, limit: Int) throws {
        source = try ByteSource(path)
        self.limit = max(limit, 1)
        capacity = Self.step
        base = .allocate(capacity: capacity + Self.padding)
        base.initialize(repeating: 0, count: capacity + Self.padding)
    }

    deinit { base.deallocate() }

    package var count: Int { end - start }
    package var view: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base + start, count: count) }
    /// Where the view starts in the decompressed file.
    package var offset: Int { source.offset - count }

    /// Makes the view longer; false when no byte is left or the view is at its limit.
    package func extend() throws -> Bool {
        if isAtEnd { return false }
        if start > 0 {
            memmove(base, base + start, count)
            end -= start
            start = 0
        }
        if end == capacity {
            if end >= limit { return false }
            let larger = min(capacity * 2, max(limit, capacity + Self.step))
            let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: larger + Self.padding)
            grown.initialize(repeating: 0, count: larger + Self.padding)
            memcpy(grown, base, end)
            base.deallocate()
            base = grown
            capacity = larger
        }
        do {
            let room = min(capacity - end, Self.step)
            let got = try source.read(into: UnsafeMutableRawBufferPointer(start: base + end, count: room))
            end += got
            isAtEnd = got == 0
            return got > 0
        } catch let failure as BrokenStream {
            broken = failure
            isAtEnd = true
            return false
        }
    }

    /// Passes over the first `bytes` of the view.
    package func consume(_ bytes: Int) {
        let count = min(max(bytes, 0), self.count)
        var at = base + start
        let stop = at + count
        while at < stop, let newline = memchr(at, 0x0A, stop - at) {
            newlines += 1
            at = newline.assumingMemoryBound(to: UInt8.self) + 1
        }
        start += count
    }

    /// Passes over a byte order mark at the file's start.
    package func skipByteOrderMark() throws {
        while count < 3, try extend() {}
        if offset == 0, view.starts(with: [0xEF, 0xBB, 0xBF]) { consume(3) }
    }

    /// Goes to `offset`, where `newlines` lines have ended before.
    package func seek(to offset: Int, newlines: Int) throws {
        try source.seek(to: offset)
        start = 0
        end = 0
        isAtEnd = false
        broken = nil
        self.newlines = newlines
    }
}

/// A place between two rows of a byte stream: "offset newlines rows", and "end" when nothing more will be given.
package struct StreamCursor: Equatable {
    package var offset: Int
    package var newlines: Int
    package var rows: Int
    package var isAtEnd: Bool

    package init(offset: Int, newlines: Int, rows: Int, isAtEnd: Bool = false) {
        self.offset = offset
        self.newlines = newlines
        self.rows = rows
        self.isAtEnd = isAtEnd
    }

    package init(_ text: String) throws {
        var words = text.split(separator: " ")
        let isAtEnd = words.last == "end"
        if isAtEnd { words.removeLast() }
        let parts = words.map { Int($0) ?? -1 }
        guard parts.count == 3, parts.allSatisfy({ $0 >= 0 }) else {
            throw PluginError(
                .invalid, "found the cursor \"\(text.prefix(80))\", wanted three numbers: byte, newlines, rows")
        }
        self.init(offset: parts[0], newlines: parts[1], rows: parts[2], isAtEnd: isAtEnd)
    }

    package var text: String { "\(offset) \(newlines) \(rows)" + (isAtEnd ? " end" : "") }
}
