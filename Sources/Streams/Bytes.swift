import Glibc

/// The first index of `byte` among `count` bytes.
package func firstIndex(of byte: UInt8, _ base: UnsafePointer<UInt8>, _ count: Int) -> Int? {
    memchr(base, Int32(byte), count).map { UnsafeRawPointer($0) - UnsafeRawPointer(base) }
}

/// Whether there is nothing but blanks.
package func isBlank(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }
}

/// The text of bytes that may stand in a row: UTF-8 without NUL; otherwise what is wrong with them.
package func checkedText(_ bytes: UnsafeBufferPointer<UInt8>) -> Result<String, TextFlaw> {
    if let base = bytes.baseAddress, let at = firstIndex(of: 0, base, bytes.count) {
        return .failure(TextFlaw(cause: "a NUL byte: at byte \(at) of the row"))
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        return .failure(TextFlaw(cause: "not UTF-8: convert the file to UTF-8 first"))
    }
    return .success(text)
}

package struct TextFlaw: Error, Equatable {
    package let cause: String
}
