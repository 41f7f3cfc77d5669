/// Snappy's block format (google/snappy, format_description.txt).
enum Snappy {
    static func decompress(_ input: UnsafeRawBufferPointer, size: Int) throws -> [UInt8] {
        func flaw(_ what: String) -> ParquetFlaw { ParquetFlaw("damaged page: snappy: \(what)") }
        var at = 0
        var length = 0
        var shift = 0
        while true {
            guard at < input.count, shift <= 28 else { throw flaw("no length") }
            length |= Int(input[at] & 0x7F) << shift
            shift += 7
            at += 1
            if input[at - 1] < 0x80 { break }
        }
        guard length == size else { throw flaw("says \(length) bytes, the page's header \(size)") }
        var failure: ParquetFlaw?
        let out = [UInt8](unsafeUninitializedCapacity: size) { buffer, produced in
            while at < input.count {
                let tag = Int(input[at])
                at += 1
                if tag & 3 == 0 {
                    var count = tag >> 2
                    if count >= 60 {
                        let width = count - 59
                        guard width <= input.count - at else { return failure = flaw("cut short") }
                        count = 0
                        for byte in 0..<width { count |= Int(input[at + byte]) << (8 * byte) }
                        at += width
                    }
                    count += 1
                    guard count <= input.count - at, count <= size - produced else {
                        return failure = flaw("cut short")
                    }
                    for index in 0..<count { buffer[produced + index] = input[at + index] }
                    at += count
                    produced += count
                    continue
                }
                let width = tag & 3 == 1 ? 1 : tag & 3 == 2 ? 2 : 4
                guard width <= input.count - at else { return failure = flaw("cut short") }
                var offset = 0
                for byte in 0..<width { offset |= Int(input[at + byte]) << (8 * byte) }
                at += width
                let count = width == 1 ? (tag >> 2 & 7) + 4 : (tag >> 2) + 1
                if width == 1 { offset |= (tag >> 5) << 8 }
                guard offset > 0, offset <= produced, count <= size - produced else {
                    return failure = flaw("a copy from nowhere")
                }
                // Source and target may overlap: byte by byte is what the format means.
                for index in 0..<count { buffer[produced + index] = buffer[produced + index - offset] }
                produced += count
            }
            if produced != size { failure = flaw("cut short") }
        }
        if let failure { throw failure }
        return out
    }
}
