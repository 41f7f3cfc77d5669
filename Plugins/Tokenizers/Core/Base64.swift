/// RFC 4648 base64, as rank files and character maps use it.
enum Base64 {
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 255, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (value, letter) in alphabet.utf8.enumerated() { table[Int(letter)] = UInt8(value) }
        return table
    }()

    /// The bytes that `text` encodes, or nil where it holds anything else.
    static func decoded(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var out: [UInt8] = []
        return append(text, to: &out) ? out : nil
    }

    static func append(_ text: some Sequence<UInt8>, to out: inout [UInt8]) -> Bool {
        var bits: UInt32 = 0
        var count = 0
        var padding = 0
        for letter in text {
            if letter == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            let value = values[Int(letter)]
            if value == 255 || padding > 0 { return false }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return padding <= 2 && count < 6
    }
}
