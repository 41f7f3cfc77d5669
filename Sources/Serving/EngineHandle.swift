package import JSON
package import Model
internal import PluginAPI
package import PluginKit

/// A model loaded into an engine plugin.
package final class EngineHandle: @unchecked Sendable {
    private let table: UnsafePointer<mt_engine_table>
    private let context: UnsafeMutableRawPointer?
    private let handle: OpaquePointer
    package let id: String

    /// - Parameter options: The document of `load` in kinds/engine.h.
    package init(id: String, options: JSON, components: any ComponentSource) throws {
        let component = try components.component(kind: MT_KIND_ENGINE, id: id)
        guard let table = component.table?.assumingMemoryBound(to: mt_engine_table.self) else {
            throw PluginError(.invalid, "has no table", at: "engine \(id)")
        }
        var loaded: OpaquePointer?
        try options.text().lent { text in try checked { table.pointee.load(component.ctx, text, &loaded, $0) } }
        guard let loaded else { throw PluginError(.invalid, "loaded nothing", at: "engine \(id)") }
        self.table = table
        self.id = id
        context = component.ctx
        handle = loaded
    }

    deinit { table.pointee.unload(context, handle) }

    /// Queues a request and gives its number.
    package func submit(_ prompt: [Int32], sampling: JSON, salt: String = "") throws -> UInt64 {
        var request = mt_request()
        request.struct_size = UInt32(MemoryLayout<mt_request>.size)
        var number: UInt64 = 0
        try prompt.withUnsafeBufferPointer { prompt in
            request.prompt = prompt.baseAddress
            request.prompt_count = prompt.count
            try sampling.text().lent { sampling in
                request.sampling = sampling
                try salt.lent { salt in
                    request.cache_salt = salt
                    try checked { table.pointee.submit(context, handle, &request, &number, $0) }
                }
            }
        }
        return number
    }

    /// Does one step of work; false when there was none. One thread at a time.
    package func step() throws -> Bool {
        var isIdle = true
        try checked { table.pointee.step(context, handle, &isIdle, $0) }
        return !isIdle
    }

    /// The next event, if any. One thread at a time.
    package func poll() -> EngineEvent? {
        var event = mt_event()
        event.struct_size = UInt32(MemoryLayout<mt_event>.size)
        guard table.pointee.poll(context, handle, &event) else { return nil }
        switch Int32(bitPattern: event.kind) {
        case MT_EVENT_TOKEN:
            var top: [(id: Int32, logprob: Float)] = []
            if let ids = event.top_ids, let logprobs = event.top_logprobs {
                top = (0..<Int(event.top_count)).map { (ids[$0], logprobs[$0]) }
            }
            return EngineEvent(event.request, .token(event.token), logprob: event.logprob, top: top)
        case MT_EVENT_FINISHED:
            return EngineEvent(event.request, .finished(EngineReason(rawValue: event.reason) ?? .error))
        default:
            return EngineEvent(event.request, .failed(event.message.string))
        }
    }

    package func cancel(_ request: UInt64) { table.pointee.cancel(context, handle, request) }

    /// The document of `stats` in kinds/engine.h.
    package func stats() throws -> JSON {
        try JSON(parsing: try collected { sink in try checked { table.pointee.stats(context, handle, sink, $0) } })
    }
}
