import Data
import DatasetsJSONL
import Glibc
import JSON
import PluginAPI
import PluginKit

// Streams a JSONL file through the contract, with or without conversion, and says MB/s and peak memory. With --pipeline: the
// whole way to packed batches as `train --streaming` goes it, with bytes for tokens, and the memory at every gigabyte.
// Usage: databench [--pipeline] FILE

func seconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
}

func peakMiB() -> Int {
    var usage = rusage()
    // 0 is RUSAGE_SELF, whose C type the importer does not match.
    getrusage(0, &usage)
    return usage.ru_maxrss / 1024
}

func formats() -> RowFormats {
    guard
        let plugin = plugin(
            "databench", version: "0.0.0", nil, nil, { $0.dataset("jsonl", JSONLines.self, summary: "") })
    else { return RowFormats([]) }
    var component = mt_component()
    component.struct_size = UInt32(MemoryLayout<mt_component>.size)
    guard plugin.pointee.component(plugin.pointee.ctx, 0, &component, nil) == MT_OK else { return RowFormats([]) }
    return RowFormats([RowFormat(component)].compactMap { $0 })
}

let arguments = CommandLine.arguments
guard arguments.count == 2 || arguments.count == 3 && arguments[1] == "--pipeline" else {
    print("usage: databench [--pipeline] FILE.jsonl")
    exit(2)
}
func measure(_ path: String, converts: Bool) throws {
    let feed = FileFeed([path], formats: formats())
    let schema = RowSchema()
    let start = seconds()
    var rows = 0
    var bytes = 0
    while let item = try feed.next() {
        guard case .row(let row) = item else { continue }
        rows += 1
        bytes += row.text.count
        if converts, (try? schema.convert(row)) == nil { continue }
    }
    let rate = Double(bytes) / 1e6 / (seconds() - start)
    print("\(converts ? "checked and converted" : "checked"): \(rows) rows, \(Int(rate)) MB/s, peak \(peakMiB()) MiB")
}

if arguments.count == 3 {
    try Pipeline(formats: formats()).run(arguments[2])
    exit(0)
}
for converts in [false, true] { try measure(arguments[1], converts: converts) }
