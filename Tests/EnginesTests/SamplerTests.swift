import Glibc
import JSON
import Testing

@testable import EnginesNative

/// Distributions by transformers' logits processors; see Tests/Oracles/sampling.py.
@Suite struct SamplerTests {
    let golden: JSON

    init() throws {
        let path =
            #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Goldens/sampling/cases.json"
        let file = try #require(fopen(path, "rb"), "\(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        golden = try JSON(parsing: bytes)
    }

    private static let known: Set<String> = [
        "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
        "logit_bias",
    ]

    @Test func whatIsLeftToDrawFromEqualsTransformers() throws {
        let rows = try #require(golden["logits"]?.array).map { ($0.array ?? []).compactMap(\.double).map(Float.init) }
        let history = try #require(golden["history"]?.array).map { ($0.array ?? []).compactMap(\.int).map(Int32.init) }
        var compared = 0
        for value in try #require(golden["cases"]?.array) {
            let list = value["settings"]?.array ?? []
            let names = list.compactMap { $0["name"]?.string }
            guard Self.known.isSuperset(of: names) else { continue }
            var document = JSONObject([("temperature", 1)])
            for one in list { document[one["name"]?.string ?? ""] = one["value"] }
            let settings = try SamplingSettings(.object(document), vocabulary: 40)
            for (row, expected) in (value["rows"]?.array ?? []).enumerated() {
                var logits = rows[row]
                let counts = Dictionary(history[row].map { ($0, 1) }, uniquingKeysWith: +)
                let (found, total) = logits.withUnsafeMutableBufferPointer { logits in
                    Sampler.adjust(logits, settings, text: history[row], counts: counts)
                    return Sampler.candidates(UnsafeBufferPointer(logits), settings)
                }
                let kept = (expected["kept"]?.array ?? []).compactMap(\.int)
                let wanted = (expected["probabilities"]?.array ?? []).compactMap(\.double)
                // What is less likely than a float can say is left out by one and not by the other.
                let likely = zip(kept, wanted).filter { $0.1 > 1e-30 }
                let probabilities = Dictionary(
                    uniqueKeysWithValues: found.map { (Int($0.id), Double($0.weight) / total) })
                #expect(
                    Set(probabilities.filter { $0.value > 1e-30 }.keys) == Set(likely.map(\.0)), "\(names), row \(row)")
                for (id, share) in likely {
                    #expect(
                        abs((probabilities[id] ?? 0) - share) < 1e-6 + 1e-5 * share, "\(names), row \(row), token \(id)"
                    )
                }
                compared += 1
            }
        }
        #expect(compared >= 60)
    }

    /// A vocabulary so large and flat that the first cut of the distribution does not reach the share.
    @Test(arguments: [0.5, 0.99, 0.999_999], [0, 3, 2000])
    func aLongTailIsCutAtTheSamePlaceAsByPlainSorting(topP: Double, topK: Int) throws {
        var state: UInt64 = 9
        let logits: [Float] = (0..<50_003).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(state >> 40) * 0x1p-24 * 12
        }
        var settings = SamplingSettings()
        settings.temperature = 0.9
        settings.topP = topP
        settings.topK = topK
        let (list, _) = logits.withUnsafeBufferPointer { Sampler.candidates($0, settings) }
        var sorted = logits.map { exp(Double($0) / 0.9) }.sorted(by: >)
        if topK > 0 { sorted = Array(sorted.prefix(topK)) }
        let total = sorted.reduce(0, +)
        var sum = 0.0
        let wanted =
            (sorted.firstIndex { weight in
                sum += weight
                return sum >= topP * total
            } ?? sorted.count - 1) + 1
        #expect(abs(list.count - wanted) <= max(1, wanted / 5000), "\(list.count), wanted \(wanted)")
        #expect(list.first.map { Int($0.id) } == logits.indices.max { logits[$0] < logits[$1] })
    }

    @Test func drawsFollowTheProbabilities() {
        let list = [Sampler.Candidate(id: 4, weight: 3), .init(id: 1, weight: 1)]
        #expect(Sampler.draw(list, total: 4, 0) == 4)
        #expect(Sampler.draw(list, total: 4, 0.749) == 4)
        #expect(Sampler.draw(list, total: 4, 0.751) == 1)
        #expect(Sampler.draw(list, total: 4, 0.999_999_999) == 1)
    }

    @Test func logitsThatAreNoNumbersGiveNoToken() {
        var settings = SamplingSettings()
        settings.temperature = 1
        [Float](repeating: .nan, count: 33).withUnsafeBufferPointer {
            #expect(Sampler.likeliest($0) == nil)
            #expect(Sampler.candidates($0, settings).list.isEmpty)
        }
    }

    @Test(
        arguments: [
            ["temperature": -1], ["top_p": 2], ["top_k": "3"], ["max_tokens": 0], ["logit_bias": ["x": 1]],
            ["logit_bias": ["99": 1]],
            ["min_p": -0.1], ["logprobs": 1000],
        ] as [JSON])
    func settingsOutOfRangeAreRefusedByName(document: JSON) throws {
        let key = try #require(document.object?.keys.first)
        let error = #expect(throws: (any Error).self) { try SamplingSettings(document, vocabulary: 40) }
        #expect("\(error as Any)".contains(key))
    }
}
