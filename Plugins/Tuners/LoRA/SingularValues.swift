import Glibc
import PluginKit

/// The largest singular values and vectors of a weight W [out, in], by the eigenvalues of the smaller of W Wᵀ and Wᵀ W in f64.
struct SingularValues {
    private let outWidth: Int
    /// Largest first.
    private let values: [Double]
    /// [out] and [in] of each.
    private let left, right: [[Double]]

    init(_ weight: FrozenWeight, count: Int) throws {
        let lapack = try LAPACK.shared.get()
        let (outWidth, inWidth) = (weight.outWidth, weight.inWidth)
        self.outWidth = outWidth
        let w = weight.values.map(Double.init)
        let isWide = inWidth > outWidth
        let side = min(inWidth, outWidth)
        // LAPACK's columns are our rows: w is W ᵀ [in, out] there.
        let gram = lapack.gram(w, rows: inWidth, columns: outWidth, ofColumns: isWide)
        let (squares, vectors) = try lapack.largestEigenvectors(gram, side: side, count: count)
        let values = squares.map { max(0, $0).squareRoot() }
        let largest = values.first ?? 0
        let others = lapack.product(
            w, rows: inWidth, columns: outWidth, transposes: !isWide, vectors, side: side, count: count)
        let otherSide = max(inWidth, outWidth)
        let known = (0..<count).map { Array(vectors[$0 * side..<($0 + 1) * side]) }
        let projected = (0..<count).map { i in
            // A singular value of 0 has no vector on the other side.
            let factor = values[i] > 1e-12 * largest ? 1 / values[i] : 0
            return others[i * otherSide..<(i + 1) * otherSide].map { $0 * factor }
        }
        self.values = values
        (left, right) = isWide ? (known, projected) : (projected, known)
    }

    /// A = √(S / scale) Vᵀ [count, in] and B = U √(S / scale) [out, count], so that scale · B A is the part of W that they hold.
    func factors(scale: Double) -> (a: [Float], b: [Float]) {
        let roots = values.map { ($0 / scale).squareRoot() }
        let a = zip(right, roots).flatMap { vector, root in vector.map { Float($0 * root) } }
        var b = [Float](repeating: 0, count: outWidth * values.count)
        for (j, vector) in left.enumerated() {
            for row in 0..<outWidth { b[row * values.count + j] = Float(vector[row] * roots[j]) }
        }
        return (a, b)
    }
}

/// The three routines that are needed of LAPACK and BLAS, opened when first used: training without PiSSA does not load them.
/// Matrices stand column by column.
private struct LAPACK: @unchecked Sendable {
    typealias Character = UnsafePointer<CChar>
    typealias Whole = UnsafePointer<Int32>
    typealias Real = UnsafePointer<Double>
    typealias Reals = UnsafeMutablePointer<Double>
    typealias Wholes = UnsafeMutablePointer<Int32>
    // The last arguments are the lengths of the texts, as Fortran passes them.
    private typealias Update =
        @convention(c) (Character, Character, Whole, Whole, Real, Real, Whole, Real, Reals, Whole, Int, Int) -> Void
    private typealias Product =
        @convention(c) (
            Character, Character, Whole, Whole, Whole, Real, Real, Whole, Real, Whole, Real, Reals, Whole, Int, Int
        ) -> Void
    private typealias Eigen =
        @convention(c) (
            Character, Character, Character, Whole, Reals, Whole, Real, Real, Whole, Whole, Real, Wholes, Reals, Reals,
            Whole, Wholes,
            Reals, Whole, Wholes, Whole, Wholes, Int, Int, Int
        ) -> Void

    static let shared = Result { try LAPACK() }
    private static let library = "liblapack.so.3"
    private let dsyrk: Update
    private let dgemm: Product
    private let dsyevr: Eigen

    private init() throws {
        guard let handle = dlopen(Self.library, RTLD_NOW | RTLD_LOCAL) else {
            throw PluginError(
                .notFound, "cannot be opened, and PiSSA's start needs it; install liblapack3 or liblapacke-dev",
                at: Self.library)
        }
        func symbol<Function>(_ name: String, _ type: Function.Type) throws -> Function {
            guard let address = dlsym(handle, name) else {
                throw PluginError(.notFound, "has no function \(name)", at: Self.library)
            }
            return unsafeBitCast(address, to: type)
        }
        dsyrk = try symbol("dsyrk_", Update.self)
        dgemm = try symbol("dgemm_", Product.self)
        dsyevr = try symbol("dsyevr_", Eigen.self)
    }

    /// The upper half of m mᵀ [rows, rows], or of mᵀ m [columns, columns].
    func gram(_ m: [Double], rows: Int, columns: Int, ofColumns: Bool) -> [Double] {
        let (side, depth) = ofColumns ? (columns, rows) : (rows, columns)
        var out = [Double](repeating: 0, count: side * side)
        let n = [Int32(side)]
        dsyrk("U", ofColumns ? "T" : "N", n, [Int32(depth)], [1], m, [Int32(rows)], [0], &out, n, 1, 1)
        return out
    }

    /// m v, or mᵀ v, for `count` vectors of length `side`.
    func product(
        _ m: [Double], rows: Int, columns: Int, transposes: Bool, _ v: [Double], side: Int, count: Int
    ) -> [Double] {
        let height = transposes ? columns : rows
        var out = [Double](repeating: 0, count: height * count)
        let (a, k) = ([Int32(height)], [Int32(side)])
        dgemm(transposes ? "T" : "N", "N", a, [Int32(count)], k, [1], m, [Int32(rows)], v, k, [0], &out, a, 1, 1)
        return out
    }

    /// The largest eigenvalues of a symmetric matrix, of which the upper half is read, with their vectors; largest first.
    func largestEigenvectors(_ matrix: [Double], side: Int, count: Int) throws -> (values: [Double], vectors: [Double])
    {
        var a = matrix
        let n = [Int32(side)]
        var (found, status) = (Int32(0), Int32(0))
        var values = [Double](repeating: 0, count: side)
        var vectors = [Double](repeating: 0, count: side * count)
        var support = [Int32](repeating: 0, count: 2 * max(1, count))
        func call(_ work: inout [Double], _ size: Int32, _ whole: inout [Int32], _ wholeSize: Int32) {
            dsyevr(
                "V", "I", "U", n, &a, n, [0], [0], [Int32(side - count + 1)], n, [0], &found, &values, &vectors, n,
                &support,
                &work, [size], &whole, [wholeSize], &status, 1, 1, 1)
        }
        var (work, whole) = ([0.0], [Int32(0)])
        call(&work, -1, &whole, -1)
        let (size, wholeSize) = (Int(work[0]), Int(whole[0]))
        work = [Double](repeating: 0, count: max(1, size))
        whole = [Int32](repeating: 0, count: max(1, wholeSize))
        call(&work, Int32(work.count), &whole, Int32(whole.count))
        guard status == 0, Int(found) == count else {
            throw PluginError(
                .error, "dsyevr ended with \(status) and \(found) of \(count) vectors: is the weight finite?",
                at: "PiSSA")
        }
        let order = (0..<count).reversed()
        return (order.map { values[$0] }, order.flatMap { vectors[$0 * side..<($0 + 1) * side] })
    }
}
