import Glibc
import Graph
import Host
import JSON
import Model
import PluginAPI
import Testing
import Training

/// Optimizers against torch, transformers, bitsandbytes and the papers; see Tests/Oracles/optimizers.py and optimizer_states.py.
@Suite(.serialized) struct OptimizerTests {
    let components: Registry
    let golden: Golden

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
        golden = try Golden("optimizers", components)
    }

    /// A golden's optimizer: our component, and its settings by our names.
    private static let components: [String: String] = ["adam": "adamw", "sgd-momentum": "sgd", "sgd-nesterov": "sgd"]
    private static let names = ["eps": "adam_epsilon", "adjust": "adjust_lr_fn"]

    @Test(arguments: [
        "adamw", "adamw-plain", "adamw-amsgrad", "adam", "sgd", "sgd-momentum", "sgd-nesterov", "lion", "adafactor",
        "adafactor-scaled", "adafactor-relative", "adafactor-torch", "adagrad", "rmsprop", "muon", "muon-match-rms",
        "muon-no-nesterov",
    ]) func fiveStepsEqualTheReference(name: String) throws {
        let golden = try #require(try self.golden.json("cases.json")[name])
        let given = try #require(golden["settings"]?.object)
        let family = String(name.split(separator: "-")[0])
        var settings = JSONObject([("decoupled", .bool(name != "adam"))])
        for (key, value) in given { settings[Self.names[key] ?? key] = value }
        if let betas = given["betas"]?.array {
            for (i, beta) in betas.enumerated() {
                settings["\(family == "lion" ? "lion" : "adam")_beta\(i + 1)"] = beta
            }
        }
        if name == "adafactor-torch" { settings["form"] = "torch" }
        let optimizer = try OptimizerHandle(
            id: Self.components[name] ?? family, settings: .object(settings), components: components)
        let tensors = try CheckpointHandle(path: self.golden.path("trajectories.safetensors"), components: components)
        func values(_ name: String) throws -> [Float] { try tensors.floats(try #require(tensors.tensors[name])) }
        let shapes = golden["shapes"]?.array?.compactMap(\.string) ?? []
        #expect(!shapes.isEmpty)
        for shape in shapes {
            let start = try #require(tensors.tensors["start.\(shape)"])
            let run = try OptimizerRun(optimizer, start.shape, values("start.\(shape)"), components)
            for step in 0..<5 {
                let found = try run.step(
                    step + 1, values("grad.\(shape).\(step)"), rate: given["lr"]?.double ?? 0,
                    decay: given["weight_decay"]?.double ?? 0)
                try expectEqual(
                    found, values("\(name).\(shape).\(step)"), from: values("start.\(shape)"), within: 1e-5,
                    "\(name) \(shape) step \(step)")
            }
        }
    }

    @Test(arguments: ["adamw_8bit", "lion_8bit"]) func bytesAreTheNearestValues(id: String) throws {
        let optimizer = try OptimizerHandle(id: id, settings: [:], components: components)
        let tensors = try CheckpointHandle(path: golden.path("bytes.safetensors"), components: components)
        func values(_ name: String) throws -> [Float] { try tensors.floats(try #require(tensors.tensors[name])) }
        let run = try OptimizerRun(optimizer, [65, 64], values("start"), components)
        for step in 0..<3 {
            _ = try run.step(step + 1, values("grad.\(step)"), rate: id == "lion_8bit" ? 1e-3 : 1e-2, decay: 0.1)
        }
        try expectEqual(run.parameter(), values("\(id).final"), from: values("start"), within: 1e-2, id)
        // bitsandbytes rounds states to coarser places; see Tests/Oracles/optimizer_states.py.
        let (found, theirs, start) = (try run.parameter(), try values("\(id).bitsandbytes"), try values("start"))
        let way = zip(found, start).map { abs($0 - $1) }.max() ?? 0
        let near = zip(found, theirs).filter { abs($0 - $1) <= 0.12 * way }
        #expect(near.count >= found.count * 9 / 10)
        let states = try run.states()
        #expect(states.count == (id == "lion_8bit" ? 2 : 4))
        for at in stride(from: 0, to: states.count, by: 2) {
            guard case .bytes(let codes) = states[at], case .floats(let scales) = states[at + 1] else {
                Issue.record("state \(at) is not codes and scales")
                continue
            }
            let number = at / 2 + 1
            let wanted = try tensors.bytes(of: try #require(tensors.tensors["\(id).codes\(number)"]))
            // A number in the middle of two values may fall to either by its last bit.
            let moved = zip(codes, wanted).filter { $0 != $1 }
            #expect(moved.count <= codes.count / 500, "\(moved.count) codes of \(codes.count) differ")
            #expect(moved.allSatisfy { abs(Int($0) - Int($1)) == 1 })
            let wantedScales = try values("\(id).scales\(number)")
            for (found, wanted) in zip(scales, wantedScales) { #expect(abs(found - wanted) <= 1e-5 * wanted) }
        }
    }

    @Test func smallTensorsKeepFullStates() throws {
        let optimizer = try OptimizerHandle(id: "adamw_8bit", settings: [:], components: components)
        #expect(try optimizer.states("w", [64, 63]).map(\.type.element) == [.f32, .f32])
        #expect(try optimizer.states("w", [64, 64]).map(\.type.element) == [.u8, .f32, .u8, .f32])
    }

    @Test func muonLeavesEmbeddingsToAdam() throws {
        let optimizer = try OptimizerHandle(id: "muon", settings: [:], components: components)
        #expect(try optimizer.states("model.embed_tokens.weight", [8, 4]).map(\.name) == ["exp_avg", "exp_avg_sq"])
        #expect(try optimizer.states("model.layers.0.mlp.up_proj.weight", [8, 4]).map(\.name) == ["momentum_buffer"])
        #expect(try optimizer.states("model.norm.weight", [8]).map(\.name) == ["exp_avg", "exp_avg_sq"])
    }

    @Test func namesOfTransformersAndPrintLeadToAnOptimizer() throws {
        let installed = components.componentIDs(kind: MT_KIND_OPTIMIZER)
        for name in ["adamw_torch", "adamw_torch_fused", "adamw_hf", "dpo_adamw_torch", "paged_adamw_32bit"] {
            #expect(try OptimizerNames.component(name, installed: installed) == "adamw")
        }
        let others = [
            "adamw_bnb_8bit": "adamw_8bit", "paged_adamw_8bit": "adamw_8bit", "lion_32bit": "lion",
            "lion_8bit": "lion_8bit",
            "adafactor": "adafactor", "sgd": "sgd", "adagrad": "adagrad", "rmsprop": "rmsprop", "muon": "muon",
        ]
        for (name, id) in others { #expect(try OptimizerNames.component(name, installed: installed) == id) }
        #expect { try OptimizerNames.component("adamw_torhc", installed: installed) } throws: {
            "\($0)".contains("did you mean adamw_torch?")
        }
    }

    private func expectEqual(
        _ found: [Float], _ wanted: [Float], from start: [Float], within tolerance: Float, _ what: String
    ) throws {
        try #require(found.count == wanted.count)
        let moved = zip(wanted, start).map { abs($0 - $1) }.max() ?? 0
        let error = zip(found, wanted).map { abs($0 - $1) }.max() ?? 0
        // A parameter near 1 has a last bit of 6e-8 of its own, whatever the step's size.
        let largest = max(1, wanted.map(abs).max() ?? 0)
        #expect(error <= tolerance * moved + 5e-7 * largest, "\(what) differs by \(error) of a way of \(moved)")
    }
}

/// One parameter under an optimizer, on the processor.
private final class OptimizerRun {
    enum Elements { case floats([Float]), bytes([UInt8]) }

    private let program: Program
    private var buffers: [Value: DeviceBuffer] = [:]
    private let device: Device
    private let scalars: [DeviceBuffer]
    private let gradient: DeviceBuffer
    private let value: DeviceBuffer
    private let kept: [(type: ValueType, buffer: DeviceBuffer)]
    private let count: Int

    init(_ optimizer: OptimizerHandle, _ shape: [Int], _ start: [Float], _ components: Registry) throws {
        let device = try Device(component: try components.component(kind: "martlet.device/1", id: "cpu"))
        self.device = device
        count = start.count
        let graph = Graph()
        var buffers: [Value: DeviceBuffer] = [:]
        func input(_ name: String, _ type: ValueType) throws -> Value {
            let value = graph.input(name, type)
            buffers[value] = try device.allocate(max(4, type.byteCount))
            return value
        }
        let names = try ["rate", "step", "decay"].map { try input($0, ValueType([1])) }
        let parameter = try input("parameter", ValueType(shape))
        let slope = try input("gradient", ValueType(shape))
        let states = try optimizer.states("weight", shape).map { try input($0.name, $0.type) }
        let result = try optimizer.update(
            graph, name: "weight", parameter: parameter, gradient: slope,
            scalars: .init(learningRate: names[0], step: names[1], weightDecay: names[2]), states: states)
        program = try Program(
            graph, outputs: [],
            updates: [(value: result.parameter, over: parameter)]
                + zip(result.states, states).map { (value: $0, over: $1) },
            device: device, arena: SharedArena(device: device))
        scalars = names.compactMap { buffers[$0] }
        gradient = try #require(buffers[slope])
        value = try #require(buffers[parameter])
        kept = states.compactMap { state in buffers[state].map { (graph.type(state), $0) } }
        try value.write(start)
        self.buffers = buffers
    }

    func step(_ number: Int, _ slope: [Float], rate: Double, decay: Double) throws -> [Float] {
        for (buffer, number) in zip(scalars, [rate, Double(number), decay]) { try buffer.write([Float(number)]) }
        try gradient.write(slope)
        try program.run { buffers[$0] }
        return try parameter()
    }

    func parameter() throws -> [Float] { try value.read(Float.self, count: count) }

    func states() throws -> [Elements] {
        try kept.map { type, buffer in
            type.element == .u8
                ? .bytes(try buffer.read(UInt8.self, count: type.count))
                : .floats(try buffer.read(Float.self, count: type.count))
        }
    }
}
