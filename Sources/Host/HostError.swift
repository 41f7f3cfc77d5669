/// Why the host refuses a file, a plugin or a component: what, where, found, wanted, how to fix.
package struct HostError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The class of a refusal, stable for programs.
    package enum Code: String, Sendable, CaseIterable {
        /// A file or directory cannot be read or written.
        case io
        /// plugin.json breaks its schema.
        case manifest
        /// plugins.json breaks its schema.
        case installation
        /// No plugin or component has this name.
        case notFound = "not_found"
        /// Two plugins, or two components, claim one name.
        case conflict
        /// The library is missing, is no library for this machine, or cannot be linked.
        case library
        /// The contract's version does not fit.
        case abi
        /// The entry is missing, or failed.
        case entry
        /// The descriptor and the manifest say different things.
        case disagreement
        /// The plugin's init, or its list of components, failed.
        case initialization
        /// The policy forbids it.
        case policy
    }
    package var code: Code
    /// The file, plugin or component that this is about.
    package var subject: String
    /// What was found and what was wanted.
    package var message: String
    /// What to do about it; may be empty.
    package var fix: String

    package init(_ code: Code, _ subject: String, _ message: String, fix: String = "") {
        self.code = code
        self.subject = subject
        self.message = message
        self.fix = fix
    }

    package var description: String { "\(subject): \(message)" + (fix.isEmpty ? "" : "; \(fix)") }
}
