import Files
import Glibc
package import JSON

/// What a model reads and writes text with, without its weights: a tokenizer file, a directory that has one, or a GGUF file.
package struct TextFiles {
    package let path: String
    /// tokenizer_config.json's content.
    package let settings: JSON
    /// The Jinja text of the chat template, if there is one.
    package let chatTemplate: String?
    private let files: [(name: String, map: MappedFile)]
    /// The tokenizer of a weight file that brings its own.
    private let own: [UInt8]
    private let components: any ComponentSource

    package init(path: String, components: any ComponentSource) throws {
        self.path = path
        self.components = components
        let isDirectory = ModelFiles.isDirectory(path)
        let directory = isDirectory ? path : ModelFiles.parent(path)
        let name = System.lastComponent(of: path)
        let names = isDirectory || ModelFiles.tokenizerNames.contains(name) ? ModelFiles.tokenizerNames : []
        var files: [(String, MappedFile)] = []
        for name in names where access("\(directory)/\(name)", R_OK) == 0 {
            files.append((name, try MappedFile("\(directory)/\(name)")))
        }
        let isTokenizer = [".json", ".model", ".tiktoken", ".txt"].contains { name.hasSuffix($0) }
        if files.isEmpty, !isDirectory, isTokenizer { files = [(name, try MappedFile(path))] }
        // Settings alone are a tokenizer only where the weights bring none, and a plugin finds all it needs in them.
        let settled = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
        let checkpoint =
            files.allSatisfy { settled.contains($0.0) }
            ? Result { try CheckpointHandle(path: path, components: components) } : nil
        let document = (try? checkpoint?.get())?.tokenizerDocument ?? []
        if !files.isEmpty, document.isEmpty {
            self.files = files
            own = []
            settings = try Self.json(files.first { $0.0 == "tokenizer_config.json" }?.1) ?? .object(JSONObject())
            let template = "\(directory)/chat_template.jinja"
            if access(template, R_OK) == 0 {
                let file = try MappedFile(template)
                chatTemplate = withExtendedLifetime(file) { String(decoding: file.bytes, as: UTF8.self) }
            } else {
                chatTemplate = ModelFiles.template(settings["chat_template"])
            }
            return
        }
        guard let checkpoint = try checkpoint?.get(), !document.isEmpty else {
            throw ModelError(
                .notFound,
                "there is no tokenizer here; a model needs tokenizer.json, tokenizer.model, vocab.json with merges.txt, or a GGUF file's own",
                at: path)
        }
        self.files = []
        own = document
        settings = .object(JSONObject())
        chatTemplate = checkpoint.summary["chat_template"]?.string
    }

    private static func json(_ file: MappedFile?) throws -> JSON? {
        guard let file else { return nil }
        do throws(JSONError) {
            return try JSON(parsing: file.contents)
        } catch {
            throw ModelError(.invalid, error.description, at: file.path)
        }
    }

    package func openTokenizer() throws -> TokenizerHandle {
        try own.withUnsafeBytes { bytes in
            let named = own.isEmpty ? files.map { ($0.name, $0.map.bytes) } : [("gguf.json", bytes)]
            return try TokenizerHandle(files: named, components: components, at: path)
        }
    }
}
