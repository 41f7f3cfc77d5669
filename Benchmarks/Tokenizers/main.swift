// Encode, decode and load rates of a tokenizer, by the processor time of one thread: what else the machine does counts
// for little. The time of loading is told by the clock on the wall as well, since loading may use more than one thread.
//
//   tokenizerbench FILE… [--text TEXT]… [--repeat N]
//
// FILE: the tokenizer's files, such as tokenizer.json. For each text it prints the median, least and greatest MB/s and
// a checksum of the ids (FNV-1a over 32-bit ids), by which another program's ids can be compared.
import Glibc
import TokenizerCore

func read(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes.append(contentsOf: chunk[..<count])
    }
}

func now(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The seconds that `body` takes, by the given clock.
func seconds(_ clock: clockid_t = CLOCK_THREAD_CPUTIME_ID, _ body: () throws -> Void) rethrows -> Double {
    let start = now(clock)
    try body()
    return now(clock) - start
}

func fixed(_ value: Double, _ digits: Int) -> String {
    let scale = pow(10, Double(digits))
    return "\((value * scale).rounded() / scale)"
}

func report(_ what: String, _ megabytes: Double, _ times: [Double]) {
    let sorted = times.sorted()
    let rates = [sorted[sorted.count / 2], sorted[sorted.count - 1], sorted[0]].map { fixed(megabytes / $0, 2) }
    print("\(what) median \(rates[0]) MB/s min \(rates[1]) max \(rates[2])")
}

func run(_ arguments: [String]) throws -> Int32 {
    var files: [(name: String, bytes: [UInt8])] = []
    var texts: [String] = []
    var repeats = 5
    var at = 0
    while at < arguments.count {
        switch arguments[at] {
        case "--text" where at + 1 < arguments.count:
            at += 1
            texts.append(arguments[at])
        case "--repeat" where at + 1 < arguments.count:
            at += 1
            repeats = max(1, Int(arguments[at]) ?? 5)
        default:
            guard let bytes = read(arguments[at]) else {
                print("cannot read \(arguments[at])")
                return 2
            }
            let name = arguments[at].split(separator: "/").last.map(String.init) ?? arguments[at]
            files.append((name, bytes))
        }
        at += 1
    }
    if files.isEmpty {
        print("usage: tokenizerbench FILE… [--text TEXT]… [--repeat N]")
        return 2
    }
    let blocks = files.map { file -> (name: String, bytes: UnsafeBufferPointer<UInt8>) in
        let block = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: file.bytes.count)
        _ = block.initialize(from: file.bytes)
        return (file.name, UnsafeBufferPointer(block))
    }
    var loads: [Double] = []
    var waits: [Double] = []
    var tokenizer: TextTokenizer?
    for _ in 0..<repeats {
        waits.append(
            try seconds(CLOCK_MONOTONIC) {
                loads.append(
                    try seconds(CLOCK_PROCESS_CPUTIME_ID) { tokenizer = try TextTokenizer(TokenizerFiles(blocks)) })
            })
    }
    guard let tokenizer else { return 2 }
    func milliseconds(_ times: [Double]) -> String {
        "median \(fixed(times.sorted()[times.count / 2] * 1000, 1)) ms least \(fixed((times.min() ?? 0) * 1000, 1)) ms "
            + "first \(fixed(times[0] * 1000, 1)) ms"
    }
    print("load, processor time: \(milliseconds(loads))")
    print("load, wall clock: \(milliseconds(waits))")
    for path in texts {
        guard let text = read(path) else {
            print("cannot read \(path)")
            return 2
        }
        let megabytes = Double(text.count) / 1e6
        var ids: [Int32] = []
        var times: [Double] = []
        for _ in 0...repeats {
            times.append(
                try seconds {
                    ids = try text.withUnsafeBufferPointer {
                        try tokenizer.encode($0, addsSpecial: false, parsesSpecial: false)
                    }
                })
        }
        report("encode \(path)", megabytes, Array(times.dropFirst()))
        let decodes = (0..<repeats).map { _ in
            seconds { _ = ids.withUnsafeBufferPointer { tokenizer.decode($0, skipsSpecial: false) } }
        }
        report("decode \(path)", megabytes, decodes)
        let checksum = ids.reduce(UInt64(14_695_981_039_346_656_037)) {
            ($0 ^ UInt64(UInt32(bitPattern: $1))) &* 1_099_511_628_211
        }
        print("tokens \(ids.count) checksum \(String(checksum, radix: 16))")
    }
    return 0
}

do {
    exit(try run(Array(CommandLine.arguments.dropFirst())))
} catch {
    print("failed: \(error)")
    exit(1)
}
