import CPUKernels
import Testing

@Suite struct PagedAttentionOpsTests {
    struct Sequences: Sendable, CustomTestStringConvertible {
        var name: String
        /// Positions known before the call, and rows of the call, for each sequence.
        var known: [Int], rows: [Int]
        var heads = 6, kvHeads = 2, width = 32, valueWidth = 32, blockSize = 16
        var window: Int32 = 0
        var softcap: Float = 0
        var hasSinks = false
        var testDescription: String { name }

        static let all = [
            Sequences(name: "decoding", known: [0, 15, 16, 40], rows: [1, 1, 1, 1]),
            Sequences(
                name: "chunks and decoding", known: [0, 20, 33], rows: [37, 1, 19], blockSize: 32, hasSinks: true),
            Sequences(
                name: "a long context in parts", known: [2100, 3], rows: [1, 0], heads: 4, kvHeads: 1, blockSize: 64),
            Sequences(
                name: "odd widths, window, cap", known: [50, 9], rows: [2, 5], width: 9, valueWidth: 20, window: 13,
                softcap: 5),
        ]
    }

    /// The same keys and values as one sequence each, by the kernel for flat tokens.
    func flat(_ c: Sequences, q: [Float], k: [[Float]], v: [[Float]], sinks: [Float]) -> [Float] {
        let total = zip(c.known, c.rows).map(+)
        var attention = AttentionCase(
            name: c.name, queryHeads: c.heads, kvHeads: c.kvHeads, width: c.width, valueWidth: c.valueWidth)
        attention.queries = c.rows.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) }
        attention.keys = zip(total, c.rows).reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1.0)) }
        (attention.window, attention.softcap) = (c.window, c.softcap)
        var out = [Float](repeating: 0, count: c.rows.reduce(0, +) * c.heads * c.valueWidth)
        let keys = k.flatMap { $0 }, values = v.flatMap { $0 }
        attention.withShape(MK_PRECISION_F32) { shape in
            _ = withScratch(mk_attention_scratch_bytes(nil, &shape)) {
                mk_attention(nil, q, keys, values, c.hasSinks ? sinks : nil, &out, nil, &shape, $0)
            }
        }
        return out
    }

    @Test(arguments: Sequences.all) func agreesWithFlatTokensForEachCacheType(_ c: Sequences) {
        var random = Seeded(state: 31)
        let count = c.rows.count, total = zip(c.known, c.rows).map(+), tokens = c.rows.reduce(0, +)
        let q = random.floats(tokens * c.heads * c.width), sinks = random.floats(c.heads)
        let k = total.map { random.floats($0 * c.kvHeads * c.width) },
            v = total.map { random.floats($0 * c.kvHeads * c.valueWidth) }
        let expected = flat(c, q: q, k: k, v: v, sinks: sinks)
        // Blocks of the sequences are dealt out from the end of the cache, interleaved.
        let perSequence = (total.max() ?? 0) / c.blockSize + 1, blocks = perSequence * count + 3
        var table = [Int32](repeating: -1, count: count * perSequence)
        for b in 0..<perSequence {
            for s in 0..<count where b * c.blockSize < total[s] {
                table[s * perSequence + b] = Int32(blocks - 1 - (b * count + s))
            }
        }
        func slot(_ s: Int, _ position: Int) -> Int32 {
            table[s * perSequence + position / c.blockSize] * Int32(c.blockSize) + Int32(position % c.blockSize)
        }
        for type in [MK_DTYPE_F32, MK_DTYPE_F16, MK_DTYPE_BF16] {
            atEachLevel { level in
                for precision in [MK_PRECISION_F32, MK_PRECISION_BF16] {
                    let results = [1, 3].map { threads -> [Float] in
                        // NaN everywhere: what was not written must not be seen.
                        let elements = blocks * c.kvHeads * c.blockSize
                        var kCache = [UInt8](repeating: 0xff, count: elements * c.width * mk_dtype_size(type))
                        var vCache = [UInt8](repeating: 0xff, count: elements * c.valueWidth * mk_dtype_size(type))
                        func call(_ rows: [Int], _ context: [Int], _ first: [Int], q: [Float]) -> [Float] {
                            var slots: [Int32] = [], keys: [Float] = [], values: [Float] = []
                            for s in 0..<count {
                                for i in 0..<rows[s] {
                                    let position = first[s] + i
                                    slots.append(slot(s, position))
                                    keys += k[s][position * c.kvHeads * c.width..<(position + 1) * c.kvHeads * c.width]
                                    values +=
                                        v[s][
                                            position * c.kvHeads * c.valueWidth..<(position + 1) * c.kvHeads
                                                * c.valueWidth]
                                }
                            }
                            let segments = rows.reduce(into: [Int32(0)]) { $0.append($0[$0.count - 1] + Int32($1)) }
                            let contexts = context.map(Int32.init)
                            var out = [Float](repeating: 5, count: slots.count * c.heads * c.valueWidth)
                            var shape = mk_paged_shape()
                            (shape.tokens, shape.query_heads, shape.kv_heads) = (slots.count, c.heads, c.kvHeads)
                            (shape.width, shape.value_width, shape.segments) = (c.width, c.valueWidth, count)
                            (shape.table_stride, shape.blocks, shape.block_size) = (perSequence, blocks, c.blockSize)
                            (shape.cache_type, shape.scale, shape.precision) = (type, 0.3, precision)
                            (shape.window, shape.softcap) = (c.window, c.softcap)
                            slots.withUnsafeBufferPointer { slots in
                                segments.withUnsafeBufferPointer { segments in
                                    contexts.withUnsafeBufferPointer { contexts in
                                        table.withUnsafeBufferPointer { table in
                                            (shape.slots, shape.q_segments) = (slots.baseAddress, segments.baseAddress)
                                            (shape.context, shape.block_table) = (
                                                contexts.baseAddress, table.baseAddress
                                            )
                                            withPool(threads: threads) { pool in
                                                let kept = withScratch(mk_attention_paged_scratch_bytes(pool, &shape)) {
                                                    let done = mk_attention_paged(
                                                        pool, q, keys, values, &kCache, &vCache,
                                                        c.hasSinks ? sinks : nil, &out,
                                                        &shape, $0)
                                                    #expect(done)
                                                }
                                                #expect(kept, "scratch was overrun")
                                            }
                                        }
                                    }
                                }
                            }
                            return out
                        }
                        let knownTokens = c.known.reduce(0, +)
                        _ = call(
                            c.known, c.known, c.known.map { _ in 0 },
                            q: [Float](repeating: 0.1, count: knownTokens * c.heads * c.width))
                        return call(c.rows, total, c.known, q: q)
                    }
                    #expect(results[0] == results[1], "threads change bits")
                    let exact = type == MK_DTYPE_F32 && (precision == MK_PRECISION_F32 || level != MK_LEVEL_AVX512_DOT)
                    let bound: Float =
                        exact ? 3e-6 : type == MK_DTYPE_F16 && precision == MK_PRECISION_F32 ? 2e-3 : 2e-2
                    let worst = zip(results[0], expected).map { abs($0 - $1) }.max() ?? 0
                    #expect(worst < bound, "\(type), \(precision), \(level)")
                }
            }
        }
    }

    @Test func blocksOutsideTheCacheAreRefused() {
        var shape = mk_paged_shape()
        (shape.tokens, shape.query_heads, shape.kv_heads, shape.width, shape.value_width) = (1, 1, 1, 8, 8)
        (shape.segments, shape.table_stride, shape.blocks, shape.block_size) = (1, 1, 2, 16)
        let x = [Float](repeating: 1, count: 8), segments: [Int32] = [0, 1]
        var out = x, cache = [Float](repeating: 0, count: 2 * 16 * 8), other = cache
        for (slot, context, block) in [(32, 1, 0), (0, 17, 0), (0, 1, 2), (0, 1, -1)] as [(Int32, Int32, Int32)] {
            segments.withUnsafeBufferPointer { segments in
                withUnsafePointer(to: slot) { slot in
                    withUnsafePointer(to: context) { context in
                        withUnsafePointer(to: block) { block in
                            (shape.slots, shape.q_segments, shape.context, shape.block_table) = (
                                slot, segments.baseAddress, context, block
                            )
                            #expect(!mk_attention_paged(nil, x, x, x, &cache, &other, nil, &out, &shape, nil))
                        }
                    }
                }
            }
        }
        #expect(out == x)
    }
}
