import PluginKit

/// The code of the value nearest to a number, for a table of sixteen values.
struct NearestCode: Sendable {
    /// Codes in the order of their values.
    let order: [UInt8]
    /// Borders between neighbours in that order: halfway. A number on a border belongs to the lower value.
    let borders: [Float]

    private init(_ values: [Float], order: [UInt8]) {
        self.order = order
        borders = (0..<15).map { (values[Int(order[$0])] + values[Int(order[$0 + 1])]) / 2 }
    }

    static let nf4 = NearestCode(Codebook4.nf4, order: Array(0..<16))
    static let fp4 = NearestCode(Codebook4.fp4, order: [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3])

    /// Code of `x`, by four halvings of the borders.
    @inline(__always) static func code(_ x: Float, _ borders: UnsafePointer<Float>, _ order: UnsafePointer<UInt8>)
        -> UInt8
    {
        var at = 0
        if x > borders[7] { at = 8 }
        if x > borders[at + 3] { at += 4 }
        if x > borders[at + 1] { at += 2 }
        if x > borders[at] { at += 1 }
        return order[at]
    }
}
