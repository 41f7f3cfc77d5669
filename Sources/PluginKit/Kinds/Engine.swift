public import JSON
import PluginAPI

/// A request for tokens.
public struct EngineRequest: Sendable {
    public let prompt: [Int32]
    /// The document of mt_request in kinds/engine.h.
    public let sampling: JSON
    /// Requests share cached prefixes only under one salt.
    public let salt: String

    public init(prompt: [Int32], sampling: JSON = [:], salt: String = "") {
        self.prompt = prompt
        self.sampling = sampling
        self.salt = salt
    }
}

/// Why a request ended.
public enum EngineReason: UInt32, Sendable {
    case stop = 1
    case length, cancelled, error
}

/// What became of a request.
public struct EngineEvent: Sendable {
    public enum Kind: Sendable {
        case token(Int32)
        case finished(EngineReason)
        case failed(String)
    }
    public var request: UInt64
    public var kind: Kind
    /// Of the token under the model alone, when asked for.
    public var logprob: Float
    /// The likeliest tokens, likeliest first.
    public var top: [(id: Int32, logprob: Float)]

    public init(_ request: UInt64, _ kind: Kind, logprob: Float = 0, top: [(id: Int32, logprob: Float)] = []) {
        self.request = request
        self.kind = kind
        self.logprob = logprob
        self.top = top
    }
}

/// A loaded model that serves many requests at once. Calls come from any thread, but `step` and `poll` each from one at
/// a time.
public protocol EngineBackend: AnyObject, Sendable {
    /// - Parameter options: The document of `load` in kinds/engine.h.
    init(options: JSON) throws
    /// Queues a request and names it.
    /// - Throws: `PluginError(.busy, …)` when the queue is full, `.invalid` when it can never be served.
    func submit(_ request: EngineRequest) throws -> UInt64
    /// Does one step of work; false when there was none.
    func step() throws -> Bool
    func poll() -> EngineEvent?
    func cancel(_ request: UInt64)
    /// The document of `stats` in kinds/engine.h.
    func stats() -> JSON
}

private final class EngineContext {
    let type: any EngineBackend.Type
    init(_ type: any EngineBackend.Type) { self.type = type }
}

/// An engine with the memory that its latest event points to.
private final class EngineBox {
    let backend: any EngineBackend
    private let idMemory = UnsafeMutablePointer<Int32>.allocate(capacity: EngineBox.most)
    private let logprobMemory = UnsafeMutablePointer<Float>.allocate(capacity: EngineBox.most)
    private let messageMemory = UnsafeMutablePointer<CChar>.allocate(capacity: EngineBox.longest)
    /// Likeliest tokens that an event can carry, and bytes of a message.
    static let most = 128
    private static let longest = 1024

    init(_ backend: any EngineBackend) { self.backend = backend }

    deinit {
        idMemory.deallocate()
        logprobMemory.deallocate()
        messageMemory.deallocate()
    }

    static func from(_ handle: OpaquePointer?) throws -> any EngineBackend {
        try Handle.object(handle, as: EngineBox.self).backend
    }

    func next() -> mt_event? {
        guard let event = backend.poll() else { return nil }
        var out = mt_event()
        out.struct_size = UInt32(MemoryLayout<mt_event>.size)
        out.request = event.request
        switch event.kind {
        case .token(let id):
            out.kind = UInt32(MT_EVENT_TOKEN)
            out.token = id
            out.logprob = event.logprob
            let top = event.top.prefix(Self.most)
            for (i, entry) in top.enumerated() { (idMemory[i], logprobMemory[i]) = (entry.id, entry.logprob) }
            out.top_count = UInt32(top.count)
            out.top_ids = UnsafePointer(idMemory)
            out.top_logprobs = UnsafePointer(logprobMemory)
        case .finished(let reason):
            out.kind = UInt32(MT_EVENT_FINISHED)
            out.reason = reason.rawValue
        case .failed(let message):
            out.kind = UInt32(MT_EVENT_FAILED)
            out.reason = UInt32(MT_REASON_ERROR)
            let buffer = UnsafeMutableRawBufferPointer(start: messageMemory, count: Self.longest)
            Text.copy(message, into: buffer)
            out.message = mt_str(data: messageMemory, size: buffer.firstIndex(of: 0) ?? 0)
        }
        return out
    }
}

extension Components {
    /// Offers an engine under `id`.
    public func engine(_ id: String, _ type: any EngineBackend.Type, summary: String, priority: Int = 0) {
        var table = mt_engine_table()
        table.struct_size = UInt32(MemoryLayout<mt_engine_table>.size)
        table.load = { context, options, out, error in
            guarded(error) {
                let settings: JSON = options.size == 0 ? [:] : try JSON(parsing: options.bytes)
                let type = try Handle.context(context, as: EngineContext.self).type
                out?.pointee = Handle.make(EngineBox(try type.init(options: settings)))
            }
        }
        table.submit = { _, handle, request, id, error in
            guarded(error) {
                guard let request = request?.pointee, request.prompt != nil || request.prompt_count == 0 else {
                    throw PluginError(.invalid, "the request is NULL")
                }
                let sampling: JSON = request.sampling.size == 0 ? [:] : try JSON(parsing: request.sampling.bytes)
                let prompt = Array(UnsafeBufferPointer(start: request.prompt, count: request.prompt_count))
                id?.pointee = try EngineBox.from(handle).submit(
                    EngineRequest(prompt: prompt, sampling: sampling, salt: request.cache_salt.string))
            }
        }
        table.step = { _, handle, idle, error in
            guarded(error) {
                let worked = try EngineBox.from(handle).step()
                idle?.pointee = !worked
            }
        }
        table.poll = { _, handle, out in
            guard let out, let event = (try? Handle.object(handle, as: EngineBox.self))?.next() else { return false }
            return (try? writeSized(event, to: out, size: out.pointee.struct_size, \.struct_size)) != nil
        }
        table.cancel = { _, handle, id in (try? EngineBox.from(handle))?.cancel(id) }
        table.stats = { _, handle, out, error in
            guarded(error) { try out.put(try EngineBox.from(handle).stats().text()) }
        }
        table.unload = { _, handle in Handle.release(handle, as: EngineBox.self) }
        add(
            kind: MT_KIND_ENGINE, id: id, summary: summary, priority: priority, table: table,
            context: EngineContext(type))
    }
}
