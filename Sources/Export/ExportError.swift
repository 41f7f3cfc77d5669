/// Why a model cannot be exported: what, where, found, wanted, how to fix.
package struct ExportError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Sendable { case invalid, unsupported, tolerance }
    package var code: Code
    package var message: String
    /// File, tensor or directory.
    package var location: String

    package init(_ code: Code, _ message: String, at location: String) {
        self.code = code
        self.message = message
        self.location = location
    }

    package var description: String { "\(location): \(message)" }
}
