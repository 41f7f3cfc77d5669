import CSodium
import Files

/// SHA-256 digests and Ed25519 signatures (RFC 8032), by libsodium. Keys, digests and signatures are written in hexadecimal.
package enum Digest {
    /// libsodium chooses its code for this processor once, before it is used by several threads.
    private static let isReady = sodium_init() >= 0

    /// The digest of a file's bytes.
    package static func sha256(file path: String) throws(HostError) -> String {
        do throws(FileError) {
            let file = try MappedFile(path)
            return withExtendedLifetime(file) { sha256(file.bytes) }
        } catch {
            throw HostError(error)
        }
    }

    package static func sha256(_ bytes: UnsafeRawBufferPointer) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        let text = bytes.bindMemory(to: UInt8.self)
        crypto_hash_sha256(&digest, text.baseAddress, UInt64(text.count))
        return hex(digest)
    }

    /// A new key pair: the secret holds the public key too (64 bytes), the public key 32.
    package static func makeKeys() throws(HostError) -> (secret: String, publicKey: String) {
        guard isReady else { throw HostError(.io, "libsodium", "cannot be started") }
        var secret = [UInt8](repeating: 0, count: 64)
        var publicKey = [UInt8](repeating: 0, count: 32)
        crypto_sign_keypair(&publicKey, &secret)
        return (hex(secret), hex(publicKey))
    }

    /// The signature of `message`, or nil when the key is none.
    package static func sign(_ message: String, secret: String) -> String? {
        guard isReady, let key = bytes(secret), key.count == 64 else { return nil }
        var signature = [UInt8](repeating: 0, count: 64)
        let message = Array(message.utf8)
        crypto_sign_detached(&signature, nil, message, UInt64(message.count), key)
        return hex(signature)
    }

    static func verify(_ signature: String, of message: String, publicKey: String) -> Bool {
        guard isReady, let signature = bytes(signature), signature.count == 64, let key = bytes(publicKey),
            key.count == 32
        else { return false }
        let message = Array(message.utf8)
        return crypto_sign_verify_detached(signature, message, UInt64(message.count), key) == 0
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func bytes(_ hex: String) -> [UInt8]? {
        let digits = hex.utf8.map { digit -> UInt8? in
            switch digit {
            case 48...57: return digit - 48
            case 97...102: return digit - 87
            default: return nil
            }
        }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for i in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[i], let low = digits[i + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}
