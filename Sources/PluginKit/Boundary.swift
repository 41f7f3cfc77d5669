public import PluginAPI

/// A failure that crosses the boundary as status and message.
public struct PluginError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The contract's status codes.
    public enum Code: Int32, Sendable {
        case error = 1
        case invalid, unsupported, notFound, outOfMemory, io, cancelled, busy, denied
    }
    public var code: Code
    /// What, found, wanted, how to fix.
    public var message: String
    /// File, field, block or op; may be empty.
    public var location: String

    public init(_ code: Code, _ message: String, at location: String = "") {
        self.code = code
        self.message = message
        self.location = location
    }

    public var description: String { location.isEmpty ? message : "\(location): \(message)" }
}

/// Runs `body`; what it throws becomes a status and fills `error`.
public func guarded(_ error: UnsafeMutablePointer<mt_error>?, _ body: () throws -> Void) -> mt_status {
    do {
        try body()
        return MT_OK
    } catch let failure as PluginError {
        error?.pointee.fill(failure)
        return failure.code.rawValue
    } catch let other {
        let failure = PluginError(.error, String(describing: other))
        error?.pointee.fill(failure)
        return failure.code.rawValue
    }
}

/// Calls a function of the other side with an error buffer; throws what it reports.
public func checked(_ call: (UnsafeMutablePointer<mt_error>) -> mt_status) throws(PluginError) {
    var error = mt_error()
    error.struct_size = UInt32(MemoryLayout<mt_error>.size)
    let status = call(&error)
    if status != MT_OK { throw error.failure(status) }
}

extension mt_error {
    /// Writes a failure, cut to the buffers' sizes at a character's edge.
    public mutating func fill(_ failure: PluginError) {
        code = failure.code.rawValue
        withUnsafeMutableBytes(of: &message) { Text.copy(failure.message, into: $0) }
        location = failure.location
    }

    /// What `where` holds.
    package var location: String {
        get { withUnsafeBytes(of: self.where) { Text.terminated($0) } }
        set { withUnsafeMutableBytes(of: &self.where) { Text.copy(newValue, into: $0) } }
    }

    /// The failure that these buffers hold; a missing message is said to be missing.
    public func failure(_ status: mt_status) -> PluginError {
        let text = withUnsafeBytes(of: message) { Text.terminated($0) }
        return PluginError(
            PluginError.Code(rawValue: status) ?? .error,
            text.isEmpty ? "failed with status \(status) and gave no message" : text, at: location)
    }
}

/// Copies as much of `value` as the receiver's struct_size covers, so that an older host gets what it knows.
public func writeSized<Struct>(
    _ value: Struct, to out: UnsafeMutablePointer<Struct>, size: UInt32, _ field: WritableKeyPath<Struct, UInt32>
) throws {
    let known = min(Int(size), MemoryLayout<Struct>.size)
    guard known >= MemoryLayout<UInt32>.size else {
        throw PluginError(.invalid, "struct_size is \(size); the receiver must set it")
    }
    withUnsafeBytes(of: value) { source in
        UnsafeMutableRawPointer(out).copyMemory(from: source.baseAddress.unsafelyUnwrapped, byteCount: known)
    }
    UnsafeMutableRawPointer(out).storeBytes(of: UInt32(known), as: UInt32.self)
}

/// Text in and out of the contract's types.
public enum Text {
    /// A copy of `text` that is never freed.
    public static func forever(_ text: String) -> mt_str {
        let bytes = UnsafeMutablePointer<CChar>.allocate(capacity: max(1, text.utf8.count))
        for (i, byte) in text.utf8.enumerated() { bytes[i] = CChar(bitPattern: byte) }
        return mt_str(data: bytes, size: text.utf8.count)
    }

    static func copy(_ text: String, into buffer: UnsafeMutableRawBufferPointer) {
        var bytes = Array(text.utf8.prefix(buffer.count - 1))
        if bytes.count < text.utf8.count {
            while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
            if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
        }
        buffer.copyBytes(from: bytes)
        buffer[bytes.count] = 0
    }

    static func terminated(_ buffer: UnsafeRawBufferPointer) -> String {
        String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
}

extension mt_str {
    /// The text, invalid UTF-8 repaired.
    public var string: String { String(decoding: bytes, as: UTF8.self) }

    public var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(
            start: data.map { UnsafeRawPointer($0).assumingMemoryBound(to: UInt8.self) },
            count: data == nil ? 0 : max(0, size))
    }
}

extension String {
    /// Lends the text to `body` as `mt_str`.
    public func lent<Result, Failure: Error>(_ body: (mt_str) throws(Failure) -> Result) throws(Failure) -> Result {
        var copy = self
        let outcome: Swift.Result<Result, Failure> = copy.withUTF8 { buffer in
            buffer.withMemoryRebound(to: CChar.self) { chars in
                do throws(Failure) {
                    return .success(try body(mt_str(data: chars.baseAddress, size: chars.count)))
                } catch {
                    return .failure(error)
                }
            }
        }
        return try outcome.get()
    }
}

extension mt_sink {
    public func put(_ text: String) throws {
        try text.lent { (view: mt_str) throws in try put(UnsafeRawBufferPointer(view.bytes)) }
    }

    public func put(_ bytes: UnsafeRawBufferPointer) throws {
        guard let write else { throw PluginError(.invalid, "the sink has no write function") }
        try checked { write(ctx, bytes.baseAddress, bytes.count, $0) }
    }
}

/// Collects what the other side writes to a sink.
/// - Throws: What `body` throws. A call that writes more than 4 GiB is told so as the sink's failure.
public func collected(_ body: (mt_sink) throws -> Void) throws -> [UInt8] {
    let collector = Collector()
    try withExtendedLifetime(collector) {
        try body(
            mt_sink(
                ctx: Unmanaged.passUnretained(collector).toOpaque(),
                write: { context, data, size, error in
                    guard size != 0, let context else { return MT_OK }
                    return guarded(error) {
                        let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
                        // size_t comes as Int, so a huge one is negative.
                        guard let data, 0...Collector.limit - collector.bytes.count ~= size else {
                            throw PluginError(.invalid, "found \(UInt(bitPattern: size)) bytes at once", at: "sink")
                        }
                        collector.bytes.append(contentsOf: UnsafeRawBufferPointer(start: data, count: size))
                    }
                }))
    }
    return collector.bytes
}

private final class Collector {
    static let limit = 1 << 32
    var bytes: [UInt8] = []
}

/// Keeps a Swift object behind an opaque C handle.
public enum Handle {
    public static func make(_ object: AnyObject) -> OpaquePointer {
        OpaquePointer(Unmanaged.passRetained(object).toOpaque())
    }

    /// The object behind `handle`.
    public static func object<Object: AnyObject>(_ handle: OpaquePointer?, as type: Object.Type) throws -> Object {
        guard let handle else { throw PluginError(.invalid, "a \(type) handle is NULL") }
        return Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }

    public static func release<Object: AnyObject>(_ handle: OpaquePointer?, as type: Object.Type) {
        if let handle { Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).release() }
    }

    /// The object that a component's context points to.
    public static func context<Object: AnyObject>(_ context: UnsafeMutableRawPointer?, as type: Object.Type) throws
        -> Object
    {
        guard let context else { throw PluginError(.invalid, "the component's context is NULL") }
        return Unmanaged<Object>.fromOpaque(context).takeUnretainedValue()
    }
}
