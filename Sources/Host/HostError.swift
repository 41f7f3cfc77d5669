/// Why the host refuses: what, where, found, wanted, how to fix.
package struct HostError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case manifest, policy, library, abi, descriptor, initialization, notFound, conflict, io
    }
    package var code: Code
    package var message: String
    /// File with line, plugin or component.
    package var location: String

    package init(_ code: Code, _ message: String, at location: String = "") {
        self.code = code
        self.message = message
        self.location = location
    }

    package var description: String { location.isEmpty ? message : "\(location): \(message)" }
}
