/// What one rendering may cost. A template is untrusted: it comes with a download or a request.
package struct TemplateBudget: Sendable {
    /// Expressions evaluated, elements visited, and 256-byte pieces of text handled.
    package var steps = 1_000_000
    /// Macros, and recursive loops, within each other.
    package var callDepth = 128
    /// Bytes of the rendered text, and of any text made on the way.
    package var outputBytes = 16 << 20
    /// Numbers in a `range`; Jinja's sandbox has the same limit.
    package var rangeLength = 100_000

    package init() {}
}

/// Limits of a template's form, checked when it is parsed.
enum SourceLimits {
    static let bytes = 1 << 20
    /// Expressions or blocks within each other.
    static let depth = 128
    /// Lists, mappings and other values within each other. The JSON parser's own limit is 64.
    static let valueDepth = 128
    /// Levels of expressions and statements in flight over all macros; bounds the machine stack.
    static let frames = 1_200
}
