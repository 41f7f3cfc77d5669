import Data
import DatasetsCSV
import DatasetsJSON
import DatasetsJSONL
import DatasetsText
import Glibc
import JSON
import PluginAPI
import PluginKit

/// The formats as the host would hand them over: tables of functions, called through the contract.
let formats: RowFormats = {
    let handle = plugin("tests", version: "0.0.0", nil, nil) {
        $0.dataset("csv", CSV.self, summary: "")
        $0.dataset("json", JSONArray.self, summary: "")
        $0.dataset("jsonl", JSONLines.self, summary: "")
        $0.dataset("text", PlainText.self, summary: "")
    }
    guard let plugin = handle?.pointee else { return RowFormats([]) }
    return RowFormats(
        (0..<plugin.component_count(plugin.ctx)).compactMap { index in
            var component = mt_component()
            component.struct_size = UInt32(MemoryLayout<mt_component>.size)
            return plugin.component(plugin.ctx, index, &component, nil) == MT_OK ? RowFormat(component) : nil
        })
}()

/// Test data shared between checkouts, or nil where it is absent.
let sharedData: String? = {
    if let path = getenv("MARTLET_SHARED_DATA") { return String(cString: path) }
    var directory = #filePath
    while let slash = directory.lastIndex(of: "/"), slash != directory.startIndex {
        directory = String(directory[..<slash])
        let candidate = directory + "/shared/data"
        if access(candidate, R_OK) == 0 { return candidate }
    }
    return nil
}()

/// A directory that goes away with this object.
final class Scratch: Sendable {
    let path: String
    init() {
        var template = Array("/tmp/martlet-data-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }
    deinit { system("rm -r '\(path)'") }

    func file(_ name: String, _ text: String) -> String {
        let target = path + "/" + name
        if let handle = fopen(target, "w") {
            fwrite(Array(text.utf8), 1, text.utf8.count, handle)
            fclose(handle)
        }
        return target
    }
}

func drain(_ feed: any RowFeed, limit: Int = .max) throws -> [FeedItem] {
    var out: [FeedItem] = []
    while out.count < limit, let item = try feed.next() { out.append(item) }
    return out
}

/// A row from a JSON text.
func row(_ text: String) -> SourceRow { SourceRow(source: "test", place: .row(1), text: Array(text.utf8)) }
