import Files

/// The pieces of a SentencePiece model (github.com/google/sentencepiece, sentencepiece_model.proto, `ModelProto`).
struct SentencePieces {
    struct Piece {
        var text = ""
        var score: Float = 0
        /// 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
        var type = 1
    }

    private(set) var pieces: [Piece] = []
    private(set) var addsDummyPrefix = true
    private(set) var removesExtraSpaces = true
    /// Texts are cut by the pieces' probabilities, and not by merging.
    private(set) var isUnigram = true
    private(set) var hasByteFallback = false
    private(set) var spaceIsSuffix = false
    /// normalizer_spec.precompiled_charsmap
    private(set) var charsMap: [UInt8] = []
    private var specials = [("unknown", 0), ("bos", 1), ("eos", 2), ("padding", -1)].map { (name: $0, id: $1) }

    /// Ids by what GGUF calls them.
    var specialIDs: [(String, Int)] { specials.filter { pieces.indices.contains($0.id) }.map { ($0.name, $0.id) } }

    init(_ path: String) throws(FileError) {
        let file = try MappedFile(path)
        let outcome = withExtendedLifetime(file) {
            Result { () throws(FileError) in
                var reader = Fields(file.bytes, path: path)
                while let field = try reader.next() {
                    switch (field.number, field.value) {
                    case (1, .bytes(let bytes)): pieces.append(try Self.piece(bytes, path))
                    case (2, .bytes(let bytes)): try readTrainer(bytes, path)
                    case (3, .bytes(let bytes)): try readNormalizer(bytes, path)
                    default: continue
                    }
                }
            }
        }
        try outcome.get()
    }

    private mutating func readTrainer(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(FileError) {
        var reader = Fields(bytes, path: path)
        while let field = try reader.next() {
            guard case .number(let value) = field.value else { continue }
            switch field.number {
            case 3: isUnigram = value == 1
            case 24: spaceIsSuffix = value != 0
            case 35: hasByteFallback = value != 0
            case 40...43: specials[Int(field.number) - 40].id = Int(Int32(truncatingIfNeeded: value))
            default: continue
            }
        }
    }

    private mutating func readNormalizer(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(FileError) {
        var reader = Fields(bytes, path: path)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (2, .bytes(let map)): charsMap = Array(map)
            case (3, .number(let flag)): addsDummyPrefix = flag != 0
            case (4, .number(let flag)): removesExtraSpaces = flag != 0
            default: continue
            }
        }
    }

    private static func piece(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(FileError) -> Piece {
        var piece = Piece()
        var reader = Fields(bytes, path: path)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let text)): piece.text = String(decoding: text, as: UTF8.self)
            case (2, .number(let bits)): piece.score = Float(bitPattern: UInt32(truncatingIfNeeded: bits))
            case (3, .number(let type)): piece.type = Int(truncatingIfNeeded: type)
            default: continue
            }
        }
        return piece
    }

    /// The fields of a protobuf message (protobuf.dev, "Encoding").
    private struct Fields {
        enum Value { case number(UInt64), bytes(UnsafeRawBufferPointer) }
        private var reader: ByteReader

        init(_ bytes: UnsafeRawBufferPointer, path: String) { reader = ByteReader(bytes, path: path) }

        mutating func next() throws(FileError) -> (number: UInt64, value: Value)? {
            guard reader.remaining > 0 else { return nil }
            let key = try varint()
            switch key & 7 {
            case 0: return (key >> 3, .number(try varint()))
            case 1: return (key >> 3, .number(try reader.integer(UInt64.self, "a field of 8 bytes")))
            case 2:
                let at = reader.position
                guard let count = Int(exactly: try varint()), count <= reader.remaining else {
                    throw FileError(
                        reader.path, at: at, "field length", found: "more than the message holds",
                        wanted: "a length within it")
                }
                return (key >> 3, .bytes(try reader.take(count, "a field")))
            case 5: return (key >> 3, .number(UInt64(try reader.integer(UInt32.self, "a field of 4 bytes"))))
            case let type:
                throw FileError(
                    reader.path, at: reader.position, "field type", found: "\(type)", wanted: "0, 1, 2 or 5")
            }
        }

        private mutating func varint() throws(FileError) -> UInt64 {
            var value: UInt64 = 0
            for shift in stride(from: 0, to: 64, by: 7) {
                let byte = try reader.integer(UInt8.self, "a number")
                value |= UInt64(byte & 127) << UInt64(shift)
                if byte < 128 { return value }
            }
            throw FileError(
                reader.path, at: reader.position, "a number", found: "more than ten bytes", wanted: "at most ten")
        }
    }
}
