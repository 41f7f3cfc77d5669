import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    static let logger = kindCase(
        "logger", MT_KIND_LOGGER, claim: "runs are opened, written, flushed and closed, two at a time"
    ) {
        component, _ in
        let table = component.table(mt_logger_table())
        try Ask.inDirectory { directory in
            let settings: JSON = ["directory": .string(directory), "run": "check", "config": [:]]
            var runs: [OpaquePointer?] = [nil, nil]
            for i in runs.indices {
                try Ask.demand("open") { error in
                    try Borrowed.lend(settings.text()) { table.open(component.context, $0, &runs[i], error) }
                }
            }
            for step in 1...3 {
                for run in runs {
                    let record = #"{"step": \#(step), "time": 0, "loss": 0.5, "name \" of é": -1e-30}"#
                    try Ask.demand("event") { error in
                        try Borrowed.lend(record) { table.event(component.context, run, $0, error) }
                    }
                }
            }
            for run in runs {
                try Ask.demand("flush") { table.flush(component.context, run, $0) }
                table.close(component.context, run)
            }
        }
    }

    static let hub = kindCase("hub", MT_KIND_HUB, claim: "names and answers of any sort are understood or refused") {
        component, _ in
        let table = component.table(mt_hub_table())
        for id in Ask.hostileTexts + ["org/name", "../../etc/passwd", "wheel:a==1", "a\u{0}b", "https://x/y"] {
            try Ask.score("probe of \(id.prefix(30))", try Borrowed.lend(id) { table.probe(component.context, $0) })
            let query: JSON = [
                "id": .string(id), "revision": "main", "kind": "model", "endpoint": .null, "token": .null,
            ]
            for text in [query.text(), id] {
                try Ask.json("listing of \(id.prefix(30))") { sink, error in
                    try Borrowed.lend(text) { table.listing(component.context, $0, sink, error) }
                }
            }
        }
        for answer in Ask.hostileTexts + [
            "<html>", #"{"siblings": [{"rfilename": "../x"}]}"#, #"{"Data": {"Files": 3}}"#,
        ] {
            try Ask.json("files of \(answer.prefix(30))") { sink, error in
                try Borrowed.lend(#"{"id": "org/name", "revision": "main", "kind": "model"}"#) { query in
                    try Borrowed.lend(Array(answer.utf8)) { table.files(component.context, query, $0, sink, error) }
                }
            }
        }
    }

    static let quantizer = kindCase(
        "quantizer", MT_KIND_QUANTIZER, claim: "the plan is kept: the stated size is filled, and not a byte beyond"
    ) { component, _ in
        let table = component.table(mt_quantizer_table())
        let (rows, columns) = (8, 256)
        let name = "model.layers.0.self_attn.q_proj.weight"
        let shape = [Int64(rows), Int64(columns)]
        guard
            let plan = try Ask.json(
                "plan",
                { sink, error in
                    try Borrowed.lend("{}") { settings in
                        try Borrowed.lend(name) { table.plan(component.context, settings, $0, shape, 2, sink, error) }
                    }
                })
        else { throw Skip(reason: "it has no default settings") }
        guard let size = plan["bytes"]?.int, plan["layout"]?.string != nil else {
            throw Skip(reason: "it leaves the suite's weight alone")
        }
        guard 1...rows * columns * 8 ~= size else {
            throw Breach("plan states \(size) bytes for \(rows) by \(columns) weights")
        }
        var bench = Bench()
        let weight = (0..<rows * columns).map { _ in Float(bench.draw()) }
        let identity = (0..<columns * columns).map { $0 % (columns + 1) == 0 ? Float(1) : 0 }
        let statistics: [Float]? =
            switch plan["statistics"]?.string {
            case "hessian": identity
            case "magnitude": [Float](repeating: 1, count: columns)
            default: nil
            }
        for fill in [UInt8(0xAA), 0x55] {
            var out = [UInt8](repeating: fill, count: size + 64)
            try Ask.demand("quantize") { error in
                try Borrowed.lend("{}") { settings in
                    try Borrowed.lend(name) { name in
                        table.quantize(
                            component.context, settings, name, weight, Int64(rows), Int64(columns), statistics, &out,
                            UInt64(size), error)
                    }
                }
            }
            if out[size...].contains(where: { $0 != fill }) {
                throw Breach("quantize wrote past the \(size) bytes of its plan")
            }
        }
    }

    static let row = kindCase(
        "row", MT_KIND_FILTER, MT_KIND_REWARD, MT_KIND_METRIC,
        claim: "a row gets the same finite number each time, or a refusal"
    ) { component, _ in
        let table = component.table(mt_row_table())
        let rows =
            Ask.hostileTexts + [
                #"{"query": "What is 2 + 2?", "response": "It is 4.", "completion": "It is 4.", "reference": "4", "solution": "4"}"#,
                #"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}"#,
                #"{"completion": 3, "response": [], "messages": "x"}"#, #"{"completion": "a\u0000b\ud83d\ude42"}"#,
            ]
        for row in rows {
            func judge() throws -> Double? {
                var number = 0.0
                let isJudged = try Ask.accepts("judge of \(row.prefix(40))") { error in
                    try Borrowed.lend(row) { table.judge(component.context, $0, &number, error) }
                }
                return isJudged ? number : nil
            }
            let first = try judge()
            if let first, !first.isFinite { throw Breach("the number of \(row.prefix(40)) is \(first)") }
            if try judge() != first { throw Breach("\(row.prefix(40)) gets another number the second time") }
        }
    }
}
