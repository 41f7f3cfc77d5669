/// What a chat template did wrong, and where. Lines and columns count from 1; columns count characters.
package struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The text is not a template.
        case syntax
        /// A name, member or element that is not there was used.
        case undefined
        /// An operation on values of the wrong type or range.
        case value
        /// The template reached for something outside its values.
        case security
        /// The template itself called `raise_exception`.
        case raised
        /// A limit of `TemplateBudget` was passed.
        case budget
        /// A feature of Jinja that templates of models have no use for.
        case unsupported
    }

    package let kind: Kind
    package let message: String
    /// The name that the template was given, such as a path.
    package let template: String
    package let line: Int
    package let column: Int
    /// The template's line that the error stands in.
    package let lineText: String

    package var description: String {
        let caret = String(repeating: " ", count: Swift.min(column - 1, 200)) + "^"
        return "\(template), line \(line), column \(column): \(message)\n    \(lineText)\n    \(caret)"
    }
}

/// An error on its way to the place where its position is known.
struct Fault: Error {
    let kind: TemplateError.Kind
    let message: String

    init(_ kind: TemplateError.Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    static func value(_ message: String) -> Fault { Fault(.value, message) }
}

extension TemplateError {
    /// An error of the whole template.
    init(_ message: String, template: String) {
        kind = .value
        self.message = message
        self.template = template
        line = 1
        column = 1
        lineText = ""
    }

    /// Locates `fault` at byte `offset` of `source`.
    init(_ fault: Fault, offset: Int, source: [UInt8], name: String) {
        let at = Swift.max(0, Swift.min(offset, source.count))
        let start = source[..<at].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let end = source[at...].firstIndex(of: UInt8(ascii: "\n")) ?? source.count
        kind = fault.kind
        message = fault.message
        template = name
        line = source[..<start].count(where: { $0 == UInt8(ascii: "\n") }) + 1
        column = String(decoding: source[start..<at], as: UTF8.self).unicodeScalars.count + 1
        lineText = String(String(decoding: source[start..<end], as: UTF8.self).unicodeScalars.prefix(240))
    }
}
