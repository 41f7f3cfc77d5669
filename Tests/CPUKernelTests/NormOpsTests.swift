import CPUKernels
import Glibc
import Testing

@Suite struct NormOpsTests {
    static let shapes = [(0, 8), (1, 1), (3, 7), (5, 64), (70, 333), (2, 5000), (1600, 4096)]

    static func rmsReference(_ x: [Double], _ w: [Double], eps: Double, offset: Double) -> [Double] {
        let inverse = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(x.count) + eps).squareRoot()
        return zip(x, w).map { $0 * inverse * ($1 + offset) }
    }

    static func layerReference(_ x: [Double], _ w: [Double], eps: Double) -> [Double] {
        let mean = x.reduce(0, +) / Double(x.count)
        let inverse = 1 / (x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count) + eps).squareRoot()
        return zip(x, w).map { ($0 - mean) * inverse * $1 }
    }

    @Test(arguments: shapes) func normsAgreeWithDoublePrecision(rows: Int, width: Int) {
        var random = Seeded(state: 3)
        let x = random.floats(rows * width, in: -2...3), residual = random.floats(rows * width),
            w = random.floats(width)
        let b = random.floats(width)
        atEachLevel { _ in
            for threads in [1, 2] {
                var y = x, sum = x, z = x
                withPool(threads: threads) { pool in
                    mk_rms_norm(pool, x, residual, &sum, w, &y, rows, width, 1e-5, 1)
                    mk_layer_norm(pool, x, w, b, &z, rows, width, 1e-5)
                }
                // A large result is stored another way: a few of its rows will do.
                var (worst, worstCentred) = (0.0, 0.0)
                for row in stride(from: 0, to: rows, by: rows > 100 ? 397 : 1) {
                    let range = row * width..<(row + 1) * width
                    let input = zip(x[range], residual[range]).map { Double($0 + $1) }
                    let expected = Self.rmsReference(input, w.map(Double.init), eps: 1e-5, offset: 1)
                    for (y, e) in zip(y[range], expected) { worst = max(worst, abs(Double(y) - e) / max(1, abs(e))) }
                    let centred = Self.layerReference(x[range].map(Double.init), w.map(Double.init), eps: 1e-5)
                    for (i, e) in centred.enumerated() {
                        worstCentred = max(worstCentred, abs(Double(z[row * width + i]) - (e + Double(b[i]))))
                    }
                }
                #expect(worst < 2e-6 && worstCentred < 5e-6)
            }
        }
    }

    @Test func gradientsMatchFiniteDifferences() {
        let rows = 3, width = 21
        var random = Seeded(state: 9)
        let x = random.floats(rows * width), dy = random.floats(rows * width), w = random.floats(width)
        var dx = x, dw = w, lx = x, lw = w, lb = w
        atEachLevel { _ in
            let bytes = mk_norm_scratch_bytes(rows, width)
            #expect(withScratch(bytes) { mk_rms_norm_backward(nil, dy, x, w, &dx, &dw, rows, width, 1e-5, 1, $0) })
            #expect(withScratch(bytes) { mk_layer_norm_backward(nil, dy, x, w, &lx, &lw, &lb, rows, width, 1e-5, $0) })
            func loss(_ x: [Double], _ w: [Double], layer: Bool) -> Double {
                (0..<rows).reduce(0.0) { total, row in
                    let part = Array(x[row * width..<(row + 1) * width])
                    let y =
                        layer
                        ? Self.layerReference(part, w, eps: 1e-5) : Self.rmsReference(part, w, eps: 1e-5, offset: 1)
                    return total + zip(y, dy[row * width..<(row + 1) * width]).reduce(0) { $0 + $1.0 * Double($1.1) }
                }
            }
            func slope(_ values: [Double], _ i: Int, _ f: ([Double]) -> Double) -> Double {
                var up = values, down = values
                up[i] += 1e-5
                down[i] -= 1e-5
                return (f(up) - f(down)) / 2e-5
            }
            let x64 = x.map(Double.init), w64 = w.map(Double.init)
            for i in x.indices {
                #expect(abs(Double(dx[i]) - slope(x64, i) { loss($0, w64, layer: false) }) < 1e-4)
                #expect(abs(Double(lx[i]) - slope(x64, i) { loss($0, w64, layer: true) }) < 1e-4)
            }
            for i in w.indices {
                #expect(abs(Double(dw[i]) - slope(w64, i) { loss(x64, $0, layer: false) }) < 1e-4)
                #expect(abs(Double(lw[i]) - slope(w64, i) { loss(x64, $0, layer: true) }) < 1e-4)
                let column = (0..<rows).reduce(0.0) { $0 + Double(dy[$1 * width + i]) }
                #expect(abs(Double(lb[i]) - column) < 1e-5)
            }
        }
    }

    @Test func gradientsAreTheSameBitsForAnyThreads() {
        let rows = 3000, width = 129
        var random = Seeded(state: 4)
        let x = random.floats(rows * width), dy = random.floats(rows * width), w = random.floats(width)
        let results = [1, 2, 5].map { threads -> [Float] in
            var dx = x, dw = w
            withPool(threads: threads) { pool in
                _ = withScratch(mk_norm_scratch_bytes(rows, width)) {
                    mk_rms_norm_backward(pool, dy, x, w, &dx, &dw, rows, width, 1e-5, 0, $0)
                }
            }
            return dx + dw
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    @Test(arguments: [false, true], [0, 6, 10]) func ropeRotatesPairsAndItsInverseUndoesIt(
        interleaved: Bool, pairs: Int
    ) {
        let tokens = 5, heads = 3, width = 23
        var random = Seeded(state: 8)
        let x = random.floats(tokens * heads * width), frequencies = random.floats(pairs, in: 0.001...1)
        let positions: [Int32] = [0, 1, 77, 4096, 131_071, 3, 9, 1, 2, 70_000]
        let axis = (0..<pairs).map { UInt8($0 % 2) }
        atEachLevel { _ in
            var shape = mk_rope_shape(
                tokens: tokens, heads: heads, width: width, pairs: pairs, x_stride: 0, y_stride: 0,
                frequency_stride: 0,
                interleaved: interleaved, inverse: false, scale: 1.5)
            var y = x
            mk_rope(nil, x, positions, axis, frequencies, &y, &shape)
            for token in 0..<tokens {
                for head in 0..<heads {
                    let base = (token * heads + head) * width
                    for j in 0..<pairs {
                        let (a, b) = interleaved ? (2 * j, 2 * j + 1) : (j, j + pairs)
                        let angle = Double(positions[Int(axis[j]) * tokens + token]) * Double(frequencies[j])
                        let p = Double(x[base + a]), q = Double(x[base + b])
                        #expect(abs(Double(y[base + a]) - 1.5 * (p * cos(angle) - q * sin(angle))) < 1e-6)
                        #expect(abs(Double(y[base + b]) - 1.5 * (q * cos(angle) + p * sin(angle))) < 1e-6)
                    }
                    for i in 2 * pairs..<width { #expect(y[base + i] == x[base + i]) }
                }
            }
            shape.inverse = true
            shape.scale = 1 / 1.5
            y.withUnsafeMutableBufferPointer {
                mk_rope(nil, $0.baseAddress, positions, axis, frequencies, $0.baseAddress, &shape)
            }
            #expect(zip(x, y).allSatisfy { abs($0 - $1) < 1e-6 })
        }
    }
}
