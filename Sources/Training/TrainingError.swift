/// Why training cannot start or go on: what, where, found, wanted, how to fix.
package struct TrainingError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Sendable { case invalid, notFound, unsupported, nonFinite, io }
    package var code: Code
    package var message: String
    package var location: String

    package init(_ code: Code, _ message: String, at location: String = "") {
        self.code = code
        self.message = message
        self.location = location
    }

    package var description: String { location.isEmpty ? message : "\(location): \(message)" }
}
