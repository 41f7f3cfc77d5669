/// NumPy's broadcasting: shapes are aligned at their last axes; a size of 1 stretches.
enum Broadcasting {
    static func shape(_ left: [Int], _ right: [Int]) -> [Int]? {
        let rank = max(left.count, right.count)
        var out = [Int](repeating: 1, count: rank)
        for i in 0..<rank {
            let a = i < rank - left.count ? 1 : left[i - (rank - left.count)]
            let b = i < rank - right.count ? 1 : right[i - (rank - right.count)]
            guard a == b || a == 1 || b == 1 else { return nil }
            out[i] = a == 1 ? b : a
        }
        return out
    }

    /// For each element of `out`, the position of its element in a value of shape `from`.
    static func positions(_ from: [Int], _ out: [Int]) -> [Int] {
        var strides = [Int](repeating: 0, count: out.count)
        var stride = 1
        for i in 0..<from.count {
            let axis = out.count - 1 - i
            let size = from[from.count - 1 - i]
            strides[axis] = size == 1 ? 0 : stride
            stride *= size
        }
        return offsets(out, strides)
    }

    /// Σ index · stride for every index of `shape`, in row-major order.
    static func offsets(_ shape: [Int], _ strides: [Int]) -> [Int] {
        let count = shape.reduce(1, *)
        var result = [Int](repeating: 0, count: count)
        guard count > 0 else { return result }
        var index = [Int](repeating: 0, count: shape.count)
        var offset = 0
        for i in 0..<count {
            result[i] = offset
            for axis in shape.indices.reversed() {
                index[axis] += 1
                offset += strides[axis]
                if index[axis] < shape[axis] { break }
                offset -= strides[axis] * shape[axis]
                index[axis] = 0
            }
        }
        return result
    }

    /// Row-major strides.
    static func strides(_ shape: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for i in shape.indices.dropLast().reversed() { strides[i] = strides[i + 1] * shape[i + 1] }
        return strides
    }
}

extension Op.Differentiation {
    /// Sums `gradient` over the axes along which a value of shape `shape` was stretched.
    func unbroadcast(_ gradient: Value, to shape: [Int]) throws -> Value {
        let from = self.shape(gradient)
        if from == shape { return gradient }
        let lead = from.count - shape.count
        let axes = from.indices.filter { $0 < lead || (shape[$0 - lead] == 1 && from[$0] != 1) }
        let sum = axes.isEmpty ? gradient : try emit("sum", gradient, with: [("axes", .ints(Array(axes)))])
        return self.shape(sum) == shape ? sum : try emit("reshape", sum, with: [("shape", .ints(shape))])
    }
}
