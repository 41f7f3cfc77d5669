import Glibc
internal import PluginKit

/// A tensor's bytes in the form in which a device takes them over: as they stand where that is possible, else rewritten.
struct StagedTensor {
    let bytes: UnsafeRawBufferPointer
    /// The mapped bytes that it was read from.
    private let source: UnsafeRawBufferPointer
    private let owned: UnsafeMutableRawBufferPointer?

    /// - Parameters:
    ///   - layout: The wanted layout; only dense ones are converted.
    ///   - transposes: The file holds [in, out], wanted is [out, in].
    ///   - hasUnitRows: Each row is divided by its Euclidean length.
    init(
        _ entry: TensorEntry, bytes source: UnsafeRawBufferPointer, to layout: String, transposes: Bool,
        hasUnitRows: Bool = false, at path: String
    ) throws {
        self.source = source
        let isDense = WeightStore.denseLayouts.contains(entry.layout)
        let converts = layout != entry.layout || entry.addend != 0 || transposes || hasUnitRows
        guard isDense || !converts else {
            throw ModelError(
                .unsupported, "tensor \(entry.name) of layout \(entry.layout) cannot be rewritten as \(layout)",
                at: path)
        }
        if !converts, entry.permutedHeads == 0 {
            bytes = source
            owned = nil
            return
        }
        let rows = entry.shape.first ?? 1
        let columns = entry.shape.dropFirst().reduce(1, *)
        let target = converts ? rows * columns * (layout == "f32" ? 4 : 2) : source.count
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, target), alignment: 64)
        owned = memory
        bytes = UnsafeRawBufferPointer(rebasing: memory[..<target])
        let order = try Self.rowOrder(entry, rows, at: path)
        if converts {
            for row in 0..<rows {
                func element(_ column: Int) -> Float {
                    Self.read(source, entry.layout, order(row) * columns + column) + Float(entry.addend)
                }
                let length =
                    hasUnitRows
                    ? (0..<columns).reduce(0) { $0 + Double(element($1)) * Double(element($1)) }.squareRoot() : 1
                for column in 0..<columns {
                    let value = hasUnitRows ? Float(Double(element(column)) / max(length, 1e-12)) : element(column)
                    Self.write(memory, layout, transposes ? column * rows + row : row * columns + column, value)
                }
            }
        } else if rows > 0 {
            let rowBytes = source.count / rows
            for row in 0..<rows {
                let from = UnsafeRawBufferPointer(rebasing: source[order(row) * rowBytes..<(order(row) + 1) * rowBytes])
                UnsafeMutableRawBufferPointer(rebasing: memory[row * rowBytes..<(row + 1) * rowBytes]).copyMemory(
                    from: from)
            }
        }
    }

    /// Frees what was rewritten, and tells the system that mapped pages are not needed any more.
    func letGo() {
        owned?.deallocate()
        guard let base = source.baseAddress else { return }
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let start = (UInt(bitPattern: base) + page - 1) / page * page
        let end = (UInt(bitPattern: base) + UInt(source.count)) / page * page
        if end > start { madvise(UnsafeMutableRawPointer(bitPattern: start), Int(end - start), MADV_DONTNEED) }
    }

    /// Where row r of the wanted order stands: GGUF keeps the rows of rotary heads as pairs of neighbours, the published
    /// checkpoints as two halves.
    private static func rowOrder(_ entry: TensorEntry, _ rows: Int, at path: String) throws -> (Int) -> Int {
        guard entry.permutedHeads > 0 else { return { $0 } }
        let width = rows / entry.permutedHeads
        guard width * entry.permutedHeads == rows, width % 2 == 0 else {
            throw ModelError(
                .invalid, "\(rows) rows of \(entry.name) do not divide into \(entry.permutedHeads) heads", at: path)
        }
        return { row in
            let (head, inner) = (row / width, row % width)
            return head * width + 2 * (inner % (width / 2)) + inner / (width / 2)
        }
    }

    private static func read(_ bytes: UnsafeRawBufferPointer, _ layout: String, _ index: Int) -> Float {
        switch layout {
        case "f64": return Float(bytes.loadUnaligned(fromByteOffset: 8 * index, as: Double.self))
        case "bf16":
            return Float(bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
        case "f16":
            return HalfFloat.float(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        default: return bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
        }
    }

    private static func write(_ bytes: UnsafeMutableRawBufferPointer, _ layout: String, _ index: Int, _ value: Float) {
        switch layout {
        case "bf16": bytes.storeBytes(of: HalfFloat.bfloat(value), toByteOffset: 2 * index, as: UInt16.self)
        case "f16": bytes.storeBytes(of: HalfFloat.half(value), toByteOffset: 2 * index, as: UInt16.self)
        default: bytes.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
        }
    }
}
