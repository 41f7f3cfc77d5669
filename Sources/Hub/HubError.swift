/// What went wrong while fetching: what, found, wanted and how to go on.
package struct HubError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        case notFound, absent, denied, offline, network, damaged, noSpace, storage, invalid, cancelled
    }
    package let code: Code
    package let message: String
    /// The address or file.
    package let location: String

    package init(_ code: Code, _ message: String, at location: String) {
        self.code = code
        self.message = message
        self.location = location
    }

    package var description: String { "\(location): \(message)" }
}
