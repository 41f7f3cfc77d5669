import Files
import JSON
import YAML

/// A data set that was given a name, with all that is needed to read it.
package struct Registration: Sendable, Equatable {
    package var train: [String] = []
    package var validation: [String] = []
    package var columns = ColumnMapping()
    /// "sft", "pt", "dpo", "kto" …: chooses the objective; nil leaves it to the command.
    package var task: String?
    /// Ids on hubs, for data sets that are to be downloaded.
    package var modelScopeID: String?
    package var huggingFaceID: String?
    package var subsets: [String] = []

    package init() {}
}

/// Named data sets: a YAML or JSON file of the user's, in the article's form, LLaMA-Factory's or ms-swift's.
package struct Registrations: Sendable {
    package private(set) var entries: [String: Registration] = [:]

    package init() {}

    /// Takes over another file's names; its own win.
    package mutating func add(_ other: Registrations) { entries.merge(other.entries) { _, new in new } }

    /// - Throws: `DataError` that names the file and the field.
    package init(path: String) throws {
        let document: JSON
        do {
            let file = try MappedFile(path)
            document = try YAML.parse(file.contents)
        } catch let error as YAMLError {
            throw DataError(path, found: error.description, wanted: "a YAML or JSON document")
        }
        let directory = System.parent(of: path) ?? ""
        if let list = document.array {
            for (index, entry) in list.enumerated() { try add(listed: entry, "\(path), entry \(index)", directory) }
        } else {
            for (name, entry) in document.object ?? JSONObject() {
                guard let object = entry.object else {
                    throw DataError("\(path), \(name)", found: "a \(entry.typeName)", wanted: "an object with train")
                }
                entries[name] =
                    object["file_name"] != nil || object["hf_hub_url"] != nil || object["ms_hub_url"] != nil
                    ? Self.factory(object, directory)
                    : try Self.article(object, "\(path), \(name)", directory)
            }
        }
    }

    /// `{train, val, format, task}`; `columns` may stand for `format`.
    private static func article(_ object: JSONObject, _ place: String, _ directory: String) throws -> Registration {
        var out = Registration()
        let known = ["train", "val", "validation", "format", "task", "columns"]
        if let other = object.keys.first(where: { !known.contains($0) }) {
            throw DataError(place, found: "the field \"\(other)\"", wanted: "one of \(known.joined(separator: ", "))")
        }
        out.train = paths(object["train"], directory)
        out.validation = paths(object["val"] ?? object["validation"], directory)
        if out.train.isEmpty, out.validation.isEmpty {
            throw DataError(place, found: "no \"train\"", wanted: "a path or a list of paths")
        }
        out.task = object["task"]?.string
        if let format = object["format"]?.string {
            let pattern = try TextPattern(format, place: place + ", format")
            if let renames = pattern.renames {
                out.columns.renames = renames
            } else {
                out.columns.pattern = pattern
            }
        }
        for (column, known) in object["columns"]?.object ?? JSONObject() { out.columns.renames[column] = known.string }
        return out
    }

    /// LLaMA-Factory's dataset_info.json: columns are named from the known name to the file's.
    private static func factory(_ object: JSONObject, _ directory: String) -> Registration {
        let known = [
            "prompt": "instruction", "query": "input", "response": "output", "history": "history",
            "messages": "messages",
            "system": "system", "tools": "tools", "images": "images", "videos": "videos", "audios": "audios",
            "chosen": "chosen", "rejected": "rejected", "kto_tag": "label",
        ]
        var out = Registration()
        out.train = paths(object["file_name"], directory)
        out.huggingFaceID = object["hf_hub_url"]?.string
        out.modelScopeID = object["ms_hub_url"]?.string
        if object["ranking"]?.bool == true { out.task = "dpo" }
        if object["columns"]?["kto_tag"] != nil { out.task = "kto" }
        for (name, column) in object["columns"]?.object ?? JSONObject() {
            if let column = column.string, let target = known[name], column != target {
                out.columns.renames[column] = target
            }
        }
        return out
    }

    /// ms-swift's `--custom_dataset_info`: a list of objects with ids or a path, and `columns` from the file's name.
    private mutating func add(listed entry: JSON, _ place: String, _ directory: String) throws {
        var out = Registration()
        out.modelScopeID = entry["ms_dataset_id"]?.string
        out.huggingFaceID = entry["hf_dataset_id"]?.string
        out.train = Self.paths(entry["dataset_path"], directory)
        out.subsets = entry["subsets"]?.array?.compactMap { $0.string ?? $0["subset"]?.string } ?? []
        for (column, known) in entry["columns"]?.object ?? JSONObject() { out.columns.renames[column] = known.string }
        let name = entry["dataset_name"]?.string ?? out.modelScopeID ?? out.huggingFaceID ?? out.train.first
        guard let name else {
            throw DataError(
                place, found: "no name", wanted: "dataset_name, ms_dataset_id, hf_dataset_id or dataset_path")
        }
        entries[name] = out
    }

    private static func paths(_ json: JSON?, _ directory: String) -> [String] {
        (json?.array ?? json.map { [$0] } ?? []).compactMap(\.string).map {
            $0.hasPrefix("/") ? $0 : System.join(directory, $0)
        }
    }
}
