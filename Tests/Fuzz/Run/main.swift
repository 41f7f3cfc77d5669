import Files
import FuzzHooks
import FuzzKit
import Glibc
import Graph
import Host

// Reads damaged inputs for as long as it is told, and says which of them took over a second of the processor or made the
// parser ask for more than four times the input and a fixed base. What crashes or hangs ends it; the input is kept.
// See Documentation/Hostile-files.md.
//
//     fuzz [--tests DIR] [--count N] [--seed S] [--keep DIR] [--input FILE] [TARGET …]

func option(_ name: String, _ fallback: String) -> String {
    let words = CommandLine.arguments
    guard let at = words.firstIndex(of: "--\(name)"), at + 1 < words.count else { return fallback }
    return words[at + 1]
}

/// Seconds of the processor, all threads together: what else runs on the machine does not count.
func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Ends the program once it has used so many seconds of the processor, or ten minutes have passed; 0 = never.
func limit(_ seconds: Int) {
    var timer = itimerval(it_interval: timeval(), it_value: timeval(tv_sec: seconds, tv_usec: 0))
    setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    alarm(seconds > 0 ? 600 : 0)
}

func say(_ text: String) {
    print(text)
    fflush(nil)
}

func save(_ bytes: [UInt8], _ path: String) {
    guard let file = fopen(path, "we") else { return }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
}

let tests = option("tests", "Tests")
let count = Int(option("count", "1000")) ?? 1000
let seed = UInt64(option("seed", "1")) ?? 1
let keep = option("keep", "/dev/shm/martlet-fuzz-\(getpid())")
let named = FuzzTarget.all.map(\.name).filter { CommandLine.arguments.dropFirst().contains($0) }
Services.shared.register("martlet.graph/1", at: GraphService.table)
let place = try FuzzPlace(Registry(.standard()), directory: keep)

/// Time and memory of one input, and whether it was taken.
func measure(_ target: FuzzTarget, _ input: Seed, _ place: FuzzPlace) -> (time: Double, peak: Int, outcome: String) {
    var outcome = "accepted"
    // What hangs is killed by the signal: seconds of the processor, as other programs may be in the way.
    limit(30)
    let start = seconds()
    fuzz_memory_begin()
    do { try target.run(input, place) } catch { outcome = "\(error)" }
    let peak = fuzz_memory_peak()
    let time = seconds() - start
    limit(0)
    return (time, Int(peak), outcome)
}

let single = option("input", "")
if !single.isEmpty {
    let file = try MappedFile(single)
    let input = Seed(name: System.lastComponent(of: single), bytes: Array(file.bytes))
    for target in FuzzTarget.all where named.contains(target.name) {
        _ = measure(target, input, place)
        let found = measure(target, input, place)
        say("\(target.name): \(input.bytes.count) bytes, \(found.time) s, \(found.peak) bytes; \(found.outcome)")
    }
    exit(0)
}

var failures = 0
for target in FuzzTarget.all where named.isEmpty || named.contains(target.name) {
    let corpus = try target.corpus(below: tests)
    guard !corpus.isEmpty else {
        say("\(target.name): no seeds below \(tests)")
        exit(2)
    }
    // Plugins are opened and tables made before memory is counted.
    for input in corpus { _ = measure(target, input, place) }
    var mutator = Mutator(seed: seed)
    var (accepted, slowest, ratio, excess) = (0, 0.0, 0.0, 0)
    let began = seconds()
    for i in 0..<count {
        let input = target.input(corpus, &mutator)
        save(input.bytes, "\(keep)/last-\(target.name)-\(input.name)")
        let found = measure(target, input, place)
        unlink("\(keep)/last-\(target.name)-\(input.name)")
        if found.outcome == "accepted" { accepted += 1 }
        slowest = max(slowest, found.time)
        excess = max(excess, found.peak - 4 * input.bytes.count)
        ratio = max(ratio, Double(found.peak) / Double(max(input.bytes.count, 4096)))
        if found.time > 1 || found.peak > 4 * input.bytes.count + target.base {
            failures += 1
            say("\(target.name), input \(i): \(input.bytes.count) bytes, \(found.time) s, \(found.peak) bytes; kept")
            save(input.bytes, "\(keep)/bad-\(target.name)-\(seed)-\(i)-\(input.name)")
        }
    }
    let rate = Int(Double(count) / max(1e-3, seconds() - began))
    let figures = [
        "\(count) inputs", "\(corpus.count) seeds", "\(accepted) accepted", "slowest \(Int(slowest * 1000)) ms",
        "peak \(max(0, excess) >> 10) KiB above 4 × input", "\(Int(ratio * 10)) tenths of the input", "\(rate)/s",
    ]
    say("\(target.name): \(figures.joined(separator: ", "))")
}
exit(failures == 0 ? 0 : 1)
