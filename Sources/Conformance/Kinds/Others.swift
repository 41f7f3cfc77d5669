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
            try Ask.balance("opening, writing and closing a run") {
                var run: OpaquePointer?
                try Ask.demand("open") { error in
                    settings.text().lent { table.open(component.context, $0, &run, error) }
                }
                try Ask.demand("event") { error in
                    #"{"step": 1, "time": 0, "loss": 0.5}"#.lent { table.event(component.context, run, $0, error) }
                }
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
        try Ask.together("listing of org/name") {
            try Ask.bytes("listing") { sink, error in
                #"{"id": "org/name", "revision": "main", "kind": "model"}"#.lent {
                    table.listing(component.context, $0, sink, error)
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
            try Ask.together("judge of \(row.prefix(40))") {
                var number = 0.0
                let isJudged = try Ask.accepts("judge") { error in
                    row.lent { table.judge(component.context, $0, &number, error) }
                }
                return isJudged ? number : nil
            }
        }
    }

    static let op = kindCase(
        "op", MT_KIND_OP, claim: "an op without inputs, or with none that is one, is emitted or refused"
    ) { component, _ in
        let table = component.table(mt_op_table())
        for count in [0, 1, 3] {
            let bench = Bench()
            let inputs = [mt_value](repeating: mt_value(), count: count)
            var outputs = [mt_value](repeating: mt_value(), count: 4)
            try Ask.accepts("decompose of \(count) values that are none") { error in
                table.decompose(component.context, bench.handle, inputs, count, nil, 0, &outputs, outputs.count, error)
            }
        }
    }
}
