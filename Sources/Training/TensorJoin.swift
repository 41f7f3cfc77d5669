/// How a trained tensor is published: followed along an axis by another tensor of its shape, times a factor.
struct TensorJoin {
    let other: String
    let axis: Int
    let factor: Float

    func shape(_ shape: [Int]) -> [Int] {
        shape.enumerated().map { $0.offset == axis ? 2 * $0.element : $0.element }
    }

    /// Elements of one tensor that stand together in the published one.
    private func run(_ shape: [Int]) -> Int { max(1, shape.dropFirst(axis).reduce(1, *)) }

    func joined(_ first: [Float], _ second: [Float], shape: [Int]) -> [Float] {
        let run = run(shape)
        var out: [Float] = []
        out.reserveCapacity(2 * first.count)
        for start in stride(from: 0, to: first.count, by: run) {
            out += first[start..<start + run]
            out += second[start..<start + run].map { $0 * factor }
        }
        return out
    }

    /// The two tensors of `shape` that were joined. Factors are 1 or -1, so that they are what they were to the bit.
    func parted(_ joined: [Float], shape: [Int]) -> (first: [Float], second: [Float]) {
        let run = run(shape)
        var (first, second): ([Float], [Float]) = ([], [])
        for start in stride(from: 0, to: joined.count, by: 2 * run) {
            first += joined[start..<start + run]
            second += joined[start + run..<start + 2 * run].map { $0 / factor }
        }
        return (first, second)
    }
}
