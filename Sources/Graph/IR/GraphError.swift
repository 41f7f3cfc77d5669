/// What is wrong with a graph, with the op, block and parameter names that lead to the place.
package struct GraphError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Sendable { case invalid, unknown, unsupported, outOfMemory, device }
    package var code: Code
    package var message: String
    /// The open blocks and the op, such as "model.layers.3: rms_norm".
    package var location: String

    package init(_ code: Code, _ message: String, at location: String = "") {
        self.code = code
        self.message = message
        self.location = location
    }

    package var description: String { location.isEmpty ? message : "\(location): \(message)" }
}
