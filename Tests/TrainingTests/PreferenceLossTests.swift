import Graph
import Host
import JSON
import Model
import PluginAPI
import Testing
import Training

/// Values and gradients of DPO's variants against trl and the formulas; see Tests/Oracles/preference_losses.py.
@Suite(.serialized) struct PreferenceLossTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    /// Desirable answers and others, with the log-probabilities of answers to other prompts.
    @Test func ktoAgreesWithTrl() throws {
        let document = try Golden("losses", components).json("preference.json")
        let inputs = try #require(document["inputs"])
        func numbers(_ name: String) -> [Float] { inputs[name]?.array?.compactMap(\.double).map { Float($0) } ?? [] }
        let labels = inputs["desirable"]?.array?.compactMap(\.bool).map { $0 ? Float(1) : 0 } ?? []
        func chosen(_ good: String, _ bad: String) -> [Float] {
            labels.indices.map { labels[$0] > 0 ? numbers(good)[$0] : numbers(bad)[$0] }
        }
        func mean(_ values: [Float]) -> [Float] {
            values.map { _ in values.reduce(0, +) / Float(values.count) }
        }
        let device = try Device(component: components.component(kind: MT_KIND_DEVICE, id: "cpu"))
        var cases = 0
        for golden in document["cases"]?.array ?? [] where golden["method"]?.string == "kto" {
            cases += 1
            var settings = JSONObject()
            for name in ["beta", "desirable_weight", "undesirable_weight", "loss_type"] {
                settings[name] = golden[name]
            }
            let objective = try ObjectiveHandle(id: "kto", settings: .object(settings), components: components)
            let graph = Graph()
            var buffers: [Value: DeviceBuffer] = [:]
            func input(_ name: String, _ values: [Float]) throws -> Value {
                let value = graph.input(name, ValueType([values.count]))
                buffers[value] = try device.upload(values)
                return value
            }
            let unread = try input("unread", [0])
            let sums = try input("policy", chosen("policy_chosen", "policy_rejected"))
            var batch = ObjectiveHandle.Inputs(
                logps: unread, weights: unread, sequences: unread,
                normalizer: try input("normalizer", [Float(labels.count)]), sequenceLogps: sums,
                sequenceLengths: unread)
            batch.referenceSequenceLogps = try input("reference", chosen("ref_chosen", "ref_rejected"))
            batch.labels = try input("labels", labels)
            batch.mismatchedLogps = try input("mismatched", mean(numbers("policy_mismatched")))
            batch.mismatchedReferenceLogps = try input("mismatched_reference", mean(numbers("ref_mismatched")))
            let loss = try objective.loss(graph, batch).loss
            let gradient = try #require(try graph.differentiate(loss, with: [sums])[0])
            let program = try Program(
                graph, outputs: [loss, gradient], device: device, arena: SharedArena(device: device))
            try program.run { buffers[$0] }
            let wanted = try #require(golden["loss"]?.double)
            let found = Double(try program.read(loss, as: Float.self)[0])
            #expect(abs(found - wanted) <= 1e-5 * abs(wanted), "\(settings): \(found), wanted \(wanted)")
            let slopes = try program.read(gradient, as: Float.self)
            for row in labels.indices {
                let side = labels[row] > 0 ? "policy_chosen" : "policy_rejected"
                let slope = try #require(golden["gradients"]?[side]?[row]?.double)
                #expect(abs(Double(slopes[row]) - slope) <= 1e-4 * max(1e-3, abs(slope)), "\(settings), row \(row)")
            }
        }
        #expect(cases == 3)
    }

    @Test func everyVariantOfDPOAgreesWithTrl() throws {
        let document = try Golden("losses", components).json("preference.json")
        let inputs = try #require(document["inputs"])
        func numbers(_ name: String) -> [Float] { inputs[name]?.array?.compactMap(\.double).map { Float($0) } ?? [] }
        func paired(_ a: String, _ b: String) -> [Float] { zip(numbers(a), numbers(b)).flatMap { [$0, $1] } }
        let policy = paired("policy_chosen", "policy_rejected")
        let device = try Device(component: components.component(kind: MT_KIND_DEVICE, id: "cpu"))
        var kinds: Set<String> = []
        for golden in document["cases"]?.array ?? [] where golden["method"]?.string == "dpo" {
            let kind = try #require(golden["loss_type"]?.string)
            kinds.insert(kind)
            var settings = JSONObject()
            for (ours, theirs) in [
                ("beta", "beta"), ("label_smoothing", "label_smoothing"), ("loss_type", "loss_type"),
                ("delta", "delta"),
                ("f_divergence_type", "f_divergence"), ("f_alpha_divergence_coef", "f_alpha"),
                ("discopop_tau", "discopop_tau"),
            ] { settings[ours] = golden[theirs] }
            let objective = try ObjectiveHandle(id: "dpo", settings: .object(settings), components: components)

            let graph = Graph()
            var buffers: [Value: DeviceBuffer] = [:]
            func input(_ name: String, _ values: [Float]) throws -> Value {
                let value = graph.input(name, ValueType([values.count]))
                buffers[value] = try device.allocate(4 * values.count)
                try buffers[value]?.write(values)
                return value
            }
            let sums = try input("policy", policy)
            let unread = try input("unread", [0])
            var batch = ObjectiveHandle.Inputs(
                logps: unread, weights: unread, sequences: unread,
                normalizer: try input("normalizer", [Float(policy.count / 2)]),
                sequenceLogps: sums, sequenceLengths: try input("lengths", paired("chosen_length", "rejected_length")))
            batch.referenceSequenceLogps = try input("reference", paired("ref_chosen", "ref_rejected"))
            let loss = try objective.loss(graph, batch).loss
            let gradient = try #require(try graph.differentiate(loss, with: [sums])[0])
            let program = try Program(
                graph, outputs: [loss, gradient], device: device, arena: SharedArena(device: device))
            try program.run { buffers[$0] }
            let wanted = try #require(golden["loss"]?.double)
            let found = Double(try program.read(loss, as: Float.self)[0])
            #expect(
                abs(found - wanted) <= 1e-4 * max(1, abs(wanted)), "\(kind) \(settings): \(found), wanted \(wanted)")
            let slopes = try program.read(gradient, as: Float.self)
            for (offset, side) in ["policy_chosen", "policy_rejected"].enumerated() {
                let theirs = golden["gradients"]?[side]?.array?.compactMap(\.double) ?? []
                #expect(theirs.count == policy.count / 2)
                for (pair, slope) in theirs.enumerated() {
                    let ours = Double(slopes[2 * pair + offset])
                    #expect(
                        abs(ours - slope) <= 1e-4 * max(0.1, abs(slope)),
                        "\(kind) \(side) \(pair): \(ours), wanted \(slope)")
                }
            }
        }
        #expect(kinds.count == 14)
    }
}
