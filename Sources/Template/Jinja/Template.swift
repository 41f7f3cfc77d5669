import JSON

/// A chat template: Jinja text that turns a conversation into a prompt. It is parsed once and rendered often.
///
/// It computes with nothing but the values it is given: no file, no clock but the one passed in, no member of any
/// object of the program can be named. Each rendering is bounded by a `TemplateBudget`.
package struct Template: Sendable {
    /// What it is called in messages.
    package let name: String
    private let source: [UInt8]
    let tree: Tree

    /// A template's text and the places in it that the model is trained on.
    package struct Rendering: Sendable, Equatable {
        package let text: String
        /// UTF-8 offsets of what `{% generation %}` blocks wrote; nil if the template has such blocks but wrote one
        /// where its place in the text cannot be told, such as in a macro.
        package let generated: [Range<Int>]?
    }

    /// - Throws: `TemplateError` with the place of the first thing that is no template.
    package init(_ text: String, name: String = "chat template") throws(TemplateError) {
        self.name = name
        source = Lexer.normalise(text)
        if source.count > SourceLimits.bytes {
            let fault = Fault(.budget, "the template has \(source.count) bytes; at most \(SourceLimits.bytes) are read")
            throw TemplateError(fault, offset: 0, source: source, name: name)
        }
        var lexer = Lexer(source)
        let tokens: [Token]
        do { tokens = try lexer.tokenize() } catch {
            throw TemplateError(error, offset: lexer.position, source: source, name: name)
        }
        var parser = Parser(tokens)
        do { tree = try parser.tree() } catch {
            throw TemplateError(error, offset: parser.current.offset, source: source, name: name)
        }
    }

    /// True if the template marks what the model says by `{% generation %}` blocks.
    package var marksGeneration: Bool { tree.marksGeneration }

    /// True if the template mentions a variable of this name.
    package func mentions(_ name: String) -> Bool { tree.names.contains(name) }

    /// The text for the given variables.
    /// - Throws: `TemplateError`, with the place in the template where rendering stopped.
    package func render(
        _ variables: JSONObject, budget: TemplateBudget = TemplateBudget(), now: TemplateTime = .current()
    ) throws(TemplateError) -> Rendering {
        var values: [Value?] = []
        do {
            for name in tree.names { values.append(try variables[name].map { json throws(Fault) in try Value(json) }) }
        } catch {
            throw TemplateError(error, offset: 0, source: source, name: name)
        }
        let interpreter = Interpreter(tree, values: values, budget: budget, now: now)
        do { try interpreter.run() } catch {
            throw TemplateError(error, offset: interpreter.position, source: source, name: name)
        }
        return Rendering(
            text: interpreter.output, generated: interpreter.lostGeneration ? nil : interpreter.generated)
    }
}
