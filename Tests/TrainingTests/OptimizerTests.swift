import Graph
import Host
import JSON
import Model
import PluginAPI
import Testing
import Training

/// Five steps of every optimizer against PyTorch's, transformers' or the paper's; see Tests/Oracles/optimizers.py.
@Suite(.serialized) struct OptimizerTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    /// Golden case → component, and its settings in our names.
    static let cases: [(golden: String, id: String, settings: JSON)] = [
        ("adamw", "adamw", [:]), ("adamw-plain", "adamw", ["adam_beta2": 0.999]), ("sgd", "sgd", [:]),
        ("sgd-momentum", "sgd", ["momentum": 0.9]), ("sgd-nesterov", "sgd", ["momentum": 0.9, "nesterov": true]),
        ("lion", "lion", [:]), ("adafactor", "adafactor", [:]),
        ("adafactor-scaled", "adafactor", ["scale_parameter": true, "beta1": 0.9]),
        ("adafactor-relative", "adafactor", ["scale_parameter": true, "relative_step": true, "warmup_init": true]),
        ("adagrad", "adagrad", [:]), ("rmsprop", "rmsprop", [:]), ("muon", "muon", ["adjust_lr": "original"]),
        ("muon-match-rms", "muon", [:]), ("muon-no-nesterov", "muon", ["adjust_lr": "original", "nesterov": false]),
    ]

    @Test(arguments: cases.indices) func followsItsLibrary(index: Int) throws {
        let (name, id, settings) = Self.cases[index]
        let folder = try Golden("optimizers", components)
        let described = try #require(try folder.json("cases.json")[name])
        let tensors = try CheckpointHandle(path: folder.path("trajectories.safetensors"), components: components)
        let device = try Device(component: components.component(kind: MT_KIND_DEVICE, id: "cpu"))
        let optimizer = try OptimizerHandle(id: id, settings: settings, components: components)
        for shapeName in described["shapes"]?.array?.compactMap(\.string) ?? [] {
            let start = try #require(tensors.tensors["start.\(shapeName)"])
            let step = try Update(optimizer, start.shape, device)
            try step.parameter.write(try tensors.floats(start))
            for number in 0..<5 {
                try step.gradient.write(try tensors.floats(try #require(tensors.tensors["grad.\(shapeName).\(number)"])))
                try step.run(
                    number + 1, rate: described["settings"]?["lr"]?.double ?? 0,
                    decay: described["settings"]?["weight_decay"]?.double ?? 0)
                let wanted = try tensors.floats(try #require(tensors.tensors["\(name).\(shapeName).\(number)"]))
                let found = try step.parameter.read(Float.self, count: wanted.count)
                let error = zip(found, wanted).map { abs($0 - $1) / max(1e-2, abs($1)) }.max() ?? 1
                #expect(error < (id == "muon" ? 2e-3 : 2e-5), "\(name) \(shapeName) step \(number): \(error)")
            }
        }
    }

    @Test func namesOfTransformersAndPrintLeadToAnOptimizer() throws {
        let installed = components.componentIDs(kind: MT_KIND_OPTIMIZER)
        for name in ["adamw_torch", "adamw_torch_fused", "dpo_adamw_torch", "paged_adamw_32bit"] {
            #expect(try OptimizerNames.component(name, installed: installed) == "adamw")
        }
        #expect(try OptimizerNames.component("lion_32bit", installed: installed) == "lion")
        #expect(try OptimizerNames.component("adafactor", installed: installed) == "adafactor")
        #expect { try OptimizerNames.component("adamw_torhc", installed: installed) } throws: {
            "\($0)".contains("adamw_torch")
        }
    }

    /// One parameter's update, ready to run.
    private final class Update {
        let parameter, gradient: DeviceBuffer
        private let program: Program
        private let buffers: [Value: DeviceBuffer]
        private let scalars: [DeviceBuffer]

        init(_ optimizer: OptimizerHandle, _ shape: [Int], _ device: Device) throws {
            let graph = Graph()
            var buffers: [Value: DeviceBuffer] = [:]
            func input(_ name: String, _ shape: [Int], _ initial: Double = 0) throws -> (Value, DeviceBuffer) {
                let value = graph.input(name, ValueType(shape))
                let buffer = try device.allocate(4 * shape.reduce(1, *))
                try buffer.write([Float](repeating: Float(initial), count: shape.reduce(1, *)))
                buffers[value] = buffer
                return (value, buffer)
            }
            let (p, parameter) = try input("parameter", shape)
            let (g, gradient) = try input("gradient", shape)
            let scalars = try ["rate", "step", "decay"].map { try input($0, [1]) }
            let states = try optimizer.states(shape).map { try input($0.name, $0.shape, $0.initial).0 }
            let result = try optimizer.update(
                graph, parameter: p, gradient: g,
                scalars: .init(learningRate: scalars[0].0, step: scalars[1].0, weightDecay: scalars[2].0), states: states)
            program = try Program(
                graph, outputs: [],
                updates: [(result.parameter, p)] + zip(result.states, states).map { (value: $0, over: $1) }, device: device,
                arena: SharedArena(device: device))
            self.parameter = parameter
            self.gradient = gradient
            self.buffers = buffers
            self.scalars = scalars.map(\.1)
        }

        func run(_ step: Int, rate: Double, decay: Double) throws {
            for (buffer, value) in zip(scalars, [rate, Double(step), decay]) { try buffer.write([Float(value)]) }
            try program.run { self.buffers[$0] }
        }
    }
}
