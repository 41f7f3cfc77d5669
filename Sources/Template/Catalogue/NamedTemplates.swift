import JSON

/// A chat format that is known by name: for checkpoints that bring no template, and for `--template`.
package struct NamedTemplate: Sendable {
    package let name: String
    package let template: Template
    /// Stands where a conversation has no system message; nil is none.
    package let defaultSystem: String?
    /// Texts that end an answer, beside the tokenizer's own end token.
    package let stop: [String]

    /// As the template of a checkpoint, with this format's default system message, or the one given.
    ///
    /// The variable `auto_bos` of the special tokens stands at the very beginning; set it where the tokenizer begins
    /// every text with a token by itself.
    package func render(
        _ conversation: Conversation, system: String? = nil, options: RenderOptions = RenderOptions()
    ) throws(TemplateError) -> Template.Rendering {
        try template.render(with(system, conversation), options: options)
    }

    /// The conversation with the system message as the format's texts look for it.
    package func with(_ system: String?, _ conversation: Conversation) -> Conversation {
        guard let system = system ?? defaultSystem, conversation.variables["default_system"] == nil else {
            return conversation
        }
        var conversation = conversation
        conversation.variables["default_system"] = .string(system)
        return conversation
    }
}

/// The formats of `templates.json`, parsed when they are asked for.
package struct NamedTemplates: Sendable {
    private let entries: JSONObject

    package init(_ folder: ResourceFolder) throws(CatalogueError) {
        try self.init(folder.json("templates.json"))
    }

    package init(_ json: JSON) throws(CatalogueError) {
        guard json["version"]?.int == 1, let entries = json["templates"]?.object else {
            throw CatalogueError("templates.json: expected version 1 and \"templates\"")
        }
        self.entries = entries
    }

    package var names: [String] { entries.keys }

    /// The format called `name`, case and dashes aside.
    package func template(named name: String) throws(CatalogueError) -> NamedTemplate {
        let plain = Text.lower(name).replacing("-", with: "_")
        guard var entry = entries[plain] else {
            throw CatalogueError(
                "there is no chat format named '\(name)'; near it are", candidates: Names.nearest(to: plain, in: names))
        }
        if let other = entry["same_as"]?.string { entry = entries[other] ?? entry }
        guard let text = entry["jinja"]?.string else { throw CatalogueError("templates.json: '\(plain)' has no text") }
        do {
            return NamedTemplate(
                name: plain, template: try Template(text, name: "chat format \(plain)"),
                defaultSystem: entry["default_system"]?.string,
                stop: entry["stop"]?.array?.compactMap(\.string) ?? [])
        } catch { throw CatalogueError("\(error)") }
    }
}
