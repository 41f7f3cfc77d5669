import Glibc
import Graph
import Host
import JSON
import Model
import Testing

/// The real data that some tests read, or nil where this checkout has none beside it.
func sharedData(_ path: String) -> String? {
    let root = getenv("MARTLET_SHARED_DATA").map { String(cString: $0) }
        ?? #filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 } + "/shared/data"
    let full = "\(root)/\(path)"
    return access(full, R_OK) == 0 ? full : nil
}

@Suite struct StoriesTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    @Test(.enabled(if: sharedData("weights/stories260K/hf") != nil, "shared/data is absent"))
    func logitsEqualTheFloat64Reference() throws {
        let path = try #require(sharedData("weights/stories260K/hf"))
        let reference = try JSON(
            parsing: String(contentsOf: try #require(sharedData("weights/stories260K/reference_float64.json"))))
        let model = try Model(path: path, components: components)
        let scorer = Scorer(model)
        print(reference.object?.keys ?? [])
        _ = scorer
    }
}

extension String {
    init(contentsOf path: String) throws {
        self.init(decoding: try [UInt8](contentsOf: path), as: UTF8.self)
    }
}

extension [UInt8] {
    init(contentsOf path: String) throws {
        let file = try #require(fopen(path, "rb"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
        self = bytes
    }
}
