import Glibc
import Graph
import Host
import JSON
import Model
import Testing

/// The real data that some tests read, or nil where this checkout has none beside it.
func sharedData(_ path: String) -> String? {
    let root =
        getenv("MARTLET_SHARED_DATA").map { String(cString: $0) }
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

    @Test(
        .enabled(if: sharedData("weights/stories260K/hf") != nil, "shared/data is absent"),
        arguments: ["hf", "stories260K.gguf"])
    func tokenLossesEqualTheFloat64Reference(form: String) throws {
        let folder = try #require(sharedData("weights/stories260K"))
        let reference = try JSON(parsing: String(contentsOf: folder + "/reference_float64.json"))
        let ids = try #require(reference["story_ids"]?.array).compactMap(\.int).map(Int32.init)
        let losses = try #require(reference["story_token_nll"]?.array).compactMap(\.double)
        let model = try Model(path: "\(folder)/\(form)", components: components)
        let logits = try Scorer(model).logits(ids)
        let vocabulary = model.shape.vocabulary
        for t in losses.indices {
            let row = logits[t * vocabulary..<(t + 1) * vocabulary].map(Double.init)
            let top = row.max() ?? 0
            let loss = top + log(row.reduce(0) { $0 + exp($1 - top) }) - row[Int(ids[t + 1])]
            #expect(abs(loss - losses[t]) < 2e-5, "token \(t): \(loss), wanted \(losses[t])")
        }
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
