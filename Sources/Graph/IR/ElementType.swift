
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

    package var count: Int { shape.reduce(1, *) }
    package var byteCount: Int { count * element.size }
    package var description: String { "\(element.name) [\(shape.map(String.init).joined(separator: ", "))]" }
}
