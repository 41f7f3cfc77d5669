import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    static let engine = kindCase(
        "engine", MT_KIND_ENGINE,
        claim:
            "many requests at once each get the text that they get alone, in a small cache, and all of it is given back"
    ) { component, _ in
        let suite = EngineSuite(component)
        try suite.refuseDamagedOptions()
        try suite.run(room: 1 << 20)
        // Eight blocks of four positions: the requests cannot all be held at once.
        try suite.run(room: 8 * 4 * 8)
    }
}

/// One engine over the checker's own model.
private struct EngineSuite {
    private let component: Component
    private let table: mt_engine_table

    init(_ component: Component) {
        self.component = component
        table = component.table(mt_engine_table())
    }

    private static let limit = 9
    private static let prompts: [[Int32]] = [
        [3], [3, 4, 5], [3, 4, 5, 6, 7, 8, 9, 10, 11], [12, 1], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [28, 28, 28], [5],
    ]

    func refuseDamagedOptions() throws {
        for text in ["", "[]", "not JSON", "{\"block_size\": -3}", "{\"max_sequences\": \"many\"}"] {
            var engine: OpaquePointer?
            if try Ask.accepts(
                "load of \(text)",
                { error in
                    try Borrowed.lend(text) { table.load(component.context, $0, &engine, error) }
                })
            {
                table.unload(component.context, engine)
            }
        }
    }

    /// - Parameter room: Bytes of the cache; a position takes eight.
    func run(room: Int) throws {
        let options: JSON = [
            "model": "suite", "block_size": 4, "cache_bytes": .int(Int64(room)), "max_tokens_per_step": 6,
            "max_sequences": 4, "max_queue": 16, "prefix_caching": true,
        ]
        var engine: OpaquePointer?
        try Ask.demand("load") { error in
            try Borrowed.lend(options.text()) { table.load(component.context, $0, &engine, error) }
        }
        defer { table.unload(component.context, engine) }
        for prompt in [[], [Int32(SuiteRunner.vocabulary)], [-1]] as [[Int32]] {
            var id: UInt64 = 0
            try Ask.refusal("submit of the prompt \(prompt)") { try submit(engine, prompt, &id, $0) }
        }
        var asked: [UInt64: [Int32]] = [:]
        for prompt in Self.prompts {
            var id: UInt64 = 0
            try Ask.demand("submit of \(prompt.count) tokens") { try submit(engine, prompt, &id, $0) }
            if asked.updateValue(prompt, forKey: id) != nil { throw Breach("two requests have the id \(id)") }
        }
        var dropped: UInt64 = 0
        try Ask.demand("submit") { try submit(engine, [7, 7, 7], &dropped, $0) }
        table.cancel(component.context, engine, dropped)
        table.cancel(component.context, engine, .max)
        let ends = try collect(engine, asked, dropped)
        guard ends[dropped]?.reason == UInt32(MT_REASON_CANCELLED) else {
            throw Breach("a cancelled request did not end as cancelled")
        }
        for (id, prompt) in asked {
            let wanted = SuiteRunner.text(after: prompt, limit: Self.limit)
            guard let found = ends[id] else { throw Breach("the request for \(prompt) never ended") }
            guard found.tokens == wanted.tokens else {
                throw Breach("\(prompt) is followed by \(found.tokens), wanted \(wanted.tokens), as it is alone")
            }
            let reason = UInt32(wanted.isEnded ? MT_REASON_STOP : MT_REASON_LENGTH)
            guard found.reason == reason else { throw Breach("\(prompt) ended by \(found.reason), wanted \(reason)") }
        }
        let stats = try Ask.json("stats") { table.stats(component.context, engine, $0, $1) }
        for key in ["waiting", "running", "blocks_used"] where stats?[key]?.int != 0 {
            throw Breach("with no request left, stats says \(key) \(stats?[key]?.text() ?? "nothing"), wanted 0")
        }
    }

    private func submit(
        _ engine: OpaquePointer?, _ prompt: [Int32], _ id: inout UInt64, _ error: UnsafeMutablePointer<mt_error>
    ) throws -> mt_status {
        let sampling: JSON = ["temperature": 0, "max_tokens": .int(Int64(Self.limit))]
        return try Borrowed.lend(sampling.text()) { sampling in
            try Borrowed.lend(prompt.withUnsafeBytes { Array($0) }) { bytes in
                var request = mt_request()
                request.struct_size = UInt32(MemoryLayout<mt_request>.size)
                request.prompt = bytes.data?.assumingMemoryBound(to: Int32.self)
                request.prompt_count = prompt.count
                request.sampling = sampling
                return table.submit(component.context, engine, &request, &id, error)
            }
        }
    }

    private struct End {
        var tokens: [Int32] = []
        var reason: UInt32 = 0
    }

    /// Steps until all requests have ended.
    private func collect(_ engine: OpaquePointer?, _ asked: [UInt64: [Int32]], _ dropped: UInt64) throws -> [UInt64:
        End]
    {
        var ends: [UInt64: End] = [:]
        var open = Set(asked.keys).union([dropped])
        for _ in 0..<2000 where !open.isEmpty {
            var idle = false
            try Ask.demand("step") { table.step(component.context, engine, &idle, $0) }
            var event = mt_event()
            event.struct_size = UInt32(MemoryLayout<mt_event>.size)
            while table.poll(component.context, engine, &event) {
                guard open.contains(event.request) else {
                    throw Breach("there is an event of request \(event.request), which has ended or never was")
                }
                switch Int32(event.kind) {
                case MT_EVENT_TOKEN: ends[event.request, default: End()].tokens.append(event.token)
                case MT_EVENT_FINISHED:
                    ends[event.request, default: End()].reason = event.reason
                    open.remove(event.request)
                default: throw Breach("request \(event.request) failed: \(event.message.string)")
                }
            }
            if idle, !open.isEmpty { throw Breach("the engine is idle with \(open.count) requests in hand") }
        }
        guard open.isEmpty else { throw Breach("\(open.count) requests have not ended after 2000 steps") }
        return ends
    }
}
