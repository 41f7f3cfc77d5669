import Glibc
internal import JSON

/// A layer behind the pooling (sentence-transformers' `Dense`): activation(weight · x + bias), kept in a folder of its own.
struct DenseModule {
    private let weight: [Float]
    private let bias: [Float]
    private let inputs: Int
    private let activation: @Sendable (Double) -> Double

    /// - Parameters:
    ///   - path: The module's folder.
    ///   - config: Its config.json.
    init(_ path: String, _ config: JSON, _ model: Model) throws {
        let checkpoint = try CheckpointHandle(path: path, components: model.components)
        func values(_ name: String) throws -> (shape: [Int], values: [Float])? {
            guard let entry = checkpoint.tensors[name] else { return nil }
            return (entry.shape, try checkpoint.floats(entry))
        }
        guard let matrix = try values("linear.weight"), matrix.shape.count == 2 else {
            throw ModelError(.notFound, "the Dense module has no matrix linear.weight", at: path)
        }
        weight = matrix.values
        inputs = matrix.shape[1]
        bias = try values("linear.bias")?.values ?? [Float](repeating: 0, count: matrix.shape[0])
        guard bias.count == matrix.shape[0] else {
            throw ModelError(
                .invalid, "linear.bias has \(bias.count) elements, wanted \(matrix.shape[0])", at: path)
        }
        let name = config["activation_function"]?.string?.split(separator: ".").last.map(String.init) ?? "Tanh"
        guard let known = Self.activations[name] else {
            throw ModelError(
                .unsupported,
                "the Dense module's activation is \(name); known are \(Self.activations.keys.sorted().joined(separator: ", "))",
                at: path)
        }
        activation = known
    }

    private static let activations: [String: @Sendable (Double) -> Double] = [
        "Identity": { $0 }, "Tanh": { tanh($0) }, "ReLU": { max(0, $0) }, "Sigmoid": { 1 / (1 + exp(-$0)) },
        "GELU": { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }, "SiLU": { $0 / (1 + exp(-$0)) },
    ]

    /// x [inputs] → [outputs].
    func apply(_ x: [Double]) -> [Double] {
        guard x.count == inputs else { return x }
        return bias.indices.map { row in
            var sum = Double(bias[row])
            for (i, value) in x.enumerated() { sum += Double(weight[row * inputs + i]) * value }
            return activation(sum)
        }
    }
}
