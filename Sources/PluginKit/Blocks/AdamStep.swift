import Glibc

/// Adam's step (Kingma & Ba 2014, 1412.6980), which several optimizers take for some or all of their parameters.
public struct AdamStep: Sendable {
    public let beta1, beta2, epsilon: Double

    /// Reads adam_beta1, adam_beta2 and adam_epsilon.
    public init(_ settings: ModelConfig) throws {
        beta1 = try settings.double("adam_beta1", default: 0.9)
        beta2 = try settings.double("adam_beta2", default: 0.95)
        epsilon = try settings.double("adam_epsilon", default: 1e-8)
        guard (0..<1).contains(beta1), (0..<1).contains(beta2), epsilon >= 0 else {
            throw PluginError(
                .invalid,
                "adam_beta1 \(beta1) and adam_beta2 \(beta2) must be in 0 ..< 1 and adam_epsilon \(epsilon) at least 0",
                at: "optimizer settings")
        }
    }

    /// The moments after `gradient`: m = β₁ m + (1 - β₁) g and v = β₂ v + (1 - β₂) g².
    public func moments(_ g: GraphBuilder, _ m: Tensor, _ v: Tensor, gradient: Tensor) -> (m: Tensor, v: Tensor) {
        (beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * g.square(gradient))
    }

    /// m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + ε), t being `step`.
    public func direction(_ g: GraphBuilder, _ m: Tensor, _ v: Tensor, step: Tensor) -> Tensor {
        // One number is divided into once, and not each element by it.
        let (first, second) = (g.reciprocal(g.oneMinusPower(beta1, step)), g.reciprocal(g.oneMinusPower(beta2, step)))
        return (m * first) / (g.sqrt(v * second) + epsilon)
    }
}

extension GraphBuilder {
    /// 1 - baseˣ, exact also where baseˣ is close to 1: eʸ - 1 = tanh(y/2) (1 + eʸ).
    func oneMinusPower(_ base: Double, _ x: Tensor) -> Tensor {
        guard base > 0 else { return constant([1.0], [1]) }
        let exponent = Glibc.log(base) * x
        return -tanh(0.5 * exponent) * (1 + exp(exponent))
    }

    /// √(mean x²), a scalar.
    public func rootMeanSquare(_ x: Tensor) -> Tensor { sqrt(square(x).mean()) }
}

extension UpdateInputs {
    /// The parameter after decoupled weight decay (Loshchilov & Hutter 2017, 1711.05101) and a step against `direction`.
    public func stepped(_ direction: Tensor) -> Tensor {
        parameter * (1 - learningRate * weightDecay) - learningRate * direction
    }
}
