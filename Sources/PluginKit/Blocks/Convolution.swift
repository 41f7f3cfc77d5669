/// What encoders of images and sound begin with.
extension GraphBuilder {
    /// A convolution over one or two axes, x [channels, sizes…] → [positions, out], positions in row-major order.
    ///
    /// The parameters are `name`.weight [out, channels, kernel…] and `name`.bias [out].
    public func convolution(
        _ name: String, _ x: Tensor, _ out: Int, kernel: [Int], stride: [Int], padding: [Int], bias: Bool = true
    ) -> Tensor {
        let channels = x.shape.first ?? 0
        let weight = parameter(name + ".weight", [out, channels] + kernel).reshaped(out, kernel.reduce(channels, *))
        let rows = emit1(
            "unfold", [x], [("kernel", .ints(kernel)), ("stride", .ints(stride)), ("padding", .ints(padding))])
        return emit1("linear", [rows, weight, bias ? parameter(name + ".bias", [out]) : nil])
    }

    /// The same over one axis.
    public func convolution(
        _ name: String, _ x: Tensor, _ out: Int, kernel: Int, stride: Int = 1, padding: Int = 0, bias: Bool = true
    ) -> Tensor {
        convolution(name, x, out, kernel: [kernel], stride: [stride], padding: [padding], bias: bias)
    }

    /// An image [channels, height, width] cut into squares, each brought to a state (Dosovitskiy et al. 2020):
    /// [patches, out], row by row.
    public func patches(_ name: String, _ image: Tensor, _ out: Int, size: Int, bias: Bool = false) -> Tensor {
        convolution(
            name, image, out, kernel: [size, size], stride: [size, size], padding: [0, 0], bias: bias)
    }

    /// The items along the first axis: [n, sizes…] → n of [sizes…].
    public func items(_ x: Tensor) -> [Tensor] {
        let shape = x.shape
        return (0..<(shape.first ?? 0)).map { x.slice(0, $0, $0 + 1).reshaped(Array(shape.dropFirst())) }
    }

    /// i32 [count + 1]: `count` segments of `length` tokens each.
    public func evenSegments(_ count: Int, of length: Int) -> Tensor {
        constant((0...count).map { Int32(clamping: $0 * length) }, [count + 1])
    }
}
