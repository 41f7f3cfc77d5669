/// Why a model cannot be opened or run: what, where, found, wanted, how to fix.
package struct ModelError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Sendable { case invalid, notFound, unsupported, io }
    package var code: Code
    package var message: String
    /// File, tensor or component.
    package var location: String

    package init(_ code: Code, _ message: String, at location: String = "") {
        self.code = code
        self.message = message
        self.location = location
    }

    package var description: String { location.isEmpty ? message : "\(location): \(message)" }
}
