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
