/// The element types of values; numbered as the contract does.
package enum ElementType: UInt32, Sendable, CaseIterable {
    case f32 = 1
    case bf16, f16, i32, u32, u8

    /// Bytes an element.
    package var size: Int {
        switch self {
        case .f32, .i32, .u32: return 4
        case .bf16, .f16: return 2
        case .u8: return 1
        }
    }

    package var isFloat: Bool { self == .f32 || self == .bf16 || self == .f16 }
    package var name: String { String(describing: self) }
}

/// Shape and element type of a value.
package struct ValueType: Equatable, Sendable, CustomStringConvertible {
    /// Sizes, outermost first; empty for a scalar.
    package var shape: [Int]
    package var element: ElementType

    package init(_ shape: [Int], _ element: ElementType = .f32) {
        self.shape = shape
        self.element = element
    }

    /// Axes that a value may have: what crosses to plugins has room for as many (MT_MAX_RANK).
    static let mostAxes = 6

    package var count: Int { shape.reduce(1, *) }
    /// Whether sizes are not negative and the bytes of all elements can be counted.
    var isCountable: Bool {
        shape.allSatisfy { $0 >= 0 } && Sizes.product(shape).map { $0 < 1 << 60 } == true
    }
    /// As many zeros as it has elements.
    var zeros: [Double] { [Double](repeating: 0, count: count) }
    package var byteCount: Int { count * element.size }
    package var description: String { "\(element.name) [\(shape.map(String.init).joined(separator: ", "))]" }
}

/// Arithmetic on sizes that come from outside.
enum Sizes {
    /// The product, or nil when it overflows.
    static func product(_ sizes: [Int]) -> Int? {
        var result = 1
        for size in sizes {
            let (next, overflows) = result.multipliedReportingOverflow(by: size)
            if overflows { return nil }
            result = next
        }
        return result
    }
}
