import CCrypto
import Files
import Glibc

/// A digest by OpenSSL, fed in parts.
package final class Digest {
    package enum Kind { case sha256, sha1 }
    private let context: OpaquePointer?

    package init(_ kind: Kind) {
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, kind == .sha256 ? EVP_sha256() : EVP_sha1(), nil)
    }

    /// Whether OpenSSL is there.
    static let isReady: Bool = EVP_sha256() != nil

    deinit { EVP_MD_CTX_free(context) }

    package func add(_ bytes: UnsafeRawBufferPointer) { EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) }

    /// The digest in lower-case hexadecimal digits.
    package func hex() -> String {
        var out = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        guard EVP_DigestFinal_ex(context, &out, &count) == 1 else { return "" }
        return out[..<Int(count)].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// SHA-256 of a file, or nil if it cannot be read.
    static func sha256(file path: String) -> String? { digest(path, .sha256, prefix: "") }

    /// The name that git gives a file's content: SHA-1 of "blob SIZE", a NUL and the bytes.
    static func gitSHA1(file path: String, size: Int) -> String? { digest(path, .sha1, prefix: "blob \(size)\0") }

    private static func digest(_ path: String, _ kind: Kind, prefix: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let digest = Digest(kind)
        Array(prefix.utf8).withUnsafeBytes(digest.add)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return nil }
            if count == 0 { return digest.hex() }
            buffer.withUnsafeBytes { digest.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
