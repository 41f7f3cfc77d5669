/// An optimizer state of one byte a number: block-wise dynamic quantization (Dettmers et al. 2021, "8-bit Optimizers via
/// Block-wise Quantization", 2110.02861), with the blocks and values of bitsandbytes.
public struct ByteState: Sendable {
    /// Elements that share a scale.
    private static let block = 256
    /// Smaller tensors keep f32: they cost little and are often the sensitive ones.
    private static let smallest = 4096

    private let name: String
    private let isSigned: Bool

    /// - Parameter isSigned: Whether negative numbers occur.
    public init(_ name: String, isSigned: Bool) {
        self.name = name
        self.isSigned = isSigned
    }

    /// Whether states of such parameters are kept as bytes.
    public static func fits(_ shape: [Int]) -> Bool { shape.reduce(1, *) >= smallest }

    /// The states that hold it: codes and scales, or the number itself.
    public func states(_ shape: [Int]) -> [OptimizerState] {
        guard Self.fits(shape) else { return [OptimizerState(name, shape)] }
        let blocks = (shape.reduce(1, *) + Self.block - 1) / Self.block
        return [OptimizerState(name, shape, isByte: true), OptimizerState(name + "_scale", [blocks])]
    }

    /// The numbers that `states` hold.
    public func decode(_ g: GraphBuilder, _ states: [Tensor]) -> Tensor {
        states.count == 1
            ? states[0] : g.emit1("dequantize_blocks", states + [values(g)], [("block", .int(Self.block))])
    }

    /// The states that hold `x`.
    public func encode(_ g: GraphBuilder, _ x: Tensor) -> [Tensor] {
        guard Self.fits(x.shape) else { return [x] }
        return g.emit("quantize_blocks", [x, values(g)], [("block", .int(Self.block))], outputs: 2)
    }

    private func values(_ g: GraphBuilder) -> Tensor {
        g.constant(isSigned ? Self.signedValues : Self.unsignedValues, [256])
    }

    private static let signedValues = dynamicValues(isSigned: true)
    private static let unsignedValues = dynamicValues(isSigned: false)

    /// Dynamic tree quantization (section 1.3 of the paper): seven decades below 1, each cut evenly and twice as finely as the
    /// one below it, in the middles of the cuts; 0, 1 and, with a sign, the negatives of the middles. Without a sign 1e-7 stands
    /// for 0: a second moment that rounds to nothing would be divided by.
    static func dynamicValues(isSigned: Bool) -> [Float] {
        var values: [Float] = [isSigned ? 0 : 1e-7, 1]
        var decade = 1e-6
        for exponent in 0..<7 {
            let cuts = 1 << (isSigned ? exponent : exponent + 1)
            for i in 0..<cuts {
                let middle = Float(decade * (0.1 + 0.9 * (Double(i) + 0.5) / Double(cuts)))
                values.append(middle)
                if isSigned { values.append(-middle) }
            }
            decade *= 10
        }
        return values.sorted()
    }
}
