import Files
import Glibc
package import JSON
internal import PluginKit

/// The files of a model: a directory in Hugging Face's layout, or a GGUF file that holds all of it.
package struct ModelFiles {
    package let path: String
    /// Where the files beside the weights are.
    package let directory: String
    /// config.json's content, or the GGUF file's own in its terms.
    package let config: JSON
    package let generation: JSON
    package let tokenizerConfig: JSON
    /// The Jinja text of the chat template, if there is one.
    package let chatTemplate: String?
    package let checkpoint: CheckpointHandle
    /// Whether the weight file holds configuration and tokenizer too, as GGUF does.
    package let describesItself: Bool
    private let tokenizerFiles: [(name: String, bytes: UnsafeRawBufferPointer)]
    /// Keep the bytes above alive.
    private let mapped: [MappedFile]
    private let document: [UInt8]

    static let tokenizerNames = [
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "vocab.txt", "qwen.tiktoken", "tokenizer.tiktoken", "tekken.json", "spiece.model",
        "sentencepiece.bpe.model", "gguf.json",
    ]

    /// - Parameter path: A directory or a weight file.
    package init(path: String, components: any ComponentSource) throws {
        self.path = path
        guard access(path, R_OK) == 0 else {
            throw ModelError(.notFound, "no such file or directory", at: path)
        }
        let directory = Self.isDirectory(path) ? path : Self.parent(path)
        self.directory = directory
        let checkpoint = try CheckpointHandle(path: path, components: components)
        self.checkpoint = checkpoint
        let own = checkpoint.summary
        // A file that describes itself is taken at its word; config.json beside it is another model's.
        let describesItself = own["config"]?.object != nil
        self.describesItself = describesItself
        func read(_ name: String) throws -> JSON? {
            guard !describesItself, access("\(directory)/\(name)", R_OK) == 0 else { return nil }
            let file = try MappedFile("\(directory)/\(name)")
            do throws(JSONError) {
                return try JSON(parsing: file.contents)
            } catch {
                throw ModelError(.invalid, error.description, at: "\(directory)/\(name)")
            }
        }
        guard let config = try describesItself ? own["config"] : read("config.json") else {
            throw ModelError(
                .notFound,
                "there is no config.json, and the weights do not describe themselves; give a model directory or a GGUF file",
                at: directory)
        }
        self.config = config
        generation = try read("generation_config.json") ?? .object(JSONObject())
        let tokenizerConfig = try read("tokenizer_config.json") ?? .object(JSONObject())
        self.tokenizerConfig = tokenizerConfig
        var template = own["chat_template"]?.string
        if !describesItself {
            if access("\(directory)/chat_template.jinja", R_OK) == 0 {
                template = String(decoding: try MappedFile("\(directory)/chat_template.jinja").contents, as: UTF8.self)
            } else {
                template = Self.template(tokenizerConfig["chat_template"])
            }
        }
        chatTemplate = template
        var files: [(String, UnsafeRawBufferPointer)] = []
        var mapped: [MappedFile] = []
        if !describesItself {
            for name in Self.tokenizerNames where access("\(directory)/\(name)", R_OK) == 0 {
                let file = try MappedFile("\(directory)/\(name)")
                mapped.append(file)
                files.append((name, file.bytes))
            }
        }
        document = describesItself ? checkpoint.tokenizerDocument : []
        self.mapped = mapped
        tokenizerFiles = files
    }

    /// tokenizer_config.json's chat_template: one text, or several by name of which "default" counts.
    static func template(_ value: JSON?) -> String? {
        if let text = value?.string { return text }
        let named = value?.array ?? []
        return (named.first { $0["name"]?.string == "default" } ?? named.first)?["template"]?.string
    }

    /// The tokenizer in GGUF's terms: the weight file's own, or that of a directory that came from one; empty without.
    package var ggufTokenizer: [UInt8] {
        document.isEmpty ? tokenizerFiles.first { $0.name == "gguf.json" }.map { Array($0.bytes) } ?? [] : document
    }

    package func openTokenizer(components: any ComponentSource) throws -> TokenizerHandle {
        if document.isEmpty { return try TokenizerHandle(files: tokenizerFiles, components: components, at: path) }
        return try document.withUnsafeBytes { bytes in
            try TokenizerHandle(files: [("gguf.json", bytes)], components: components, at: path)
        }
    }

    /// Writes what stands beside the weights: configuration, tokenizer and chat template.
    /// - Parameter layout: What quantized weights were decoded to; the configuration then speaks of no quantization.
    package func writeDescription(to directory: String, decodedAs layout: String? = nil) throws {
        try System.makeDirectories(directory)
        var config = config
        if let layout, var members = config.object {
            members["quantization_config"] = nil
            members["torch_dtype"] = .string(["bf16": "bfloat16", "f16": "float16"][layout] ?? "float32")
            config = .object(members)
        }
        func write(_ bytes: [UInt8], _ name: String) throws {
            try ReplacementFile.write(bytes, to: System.join(directory, name))
        }
        try write(Array((config.text(.pretty) + "\n").utf8), "config.json")
        if generation.object?.isEmpty == false {
            try write(Array((generation.text(.pretty) + "\n").utf8), "generation_config.json")
        }
        for (name, bytes) in tokenizerFiles { try write(Array(bytes), name) }
        if !document.isEmpty { try write(document, "gguf.json") }
        if let chatTemplate, describesItself || tokenizerConfig["chat_template"] == nil {
            try write(Array(chatTemplate.utf8), "chat_template.jinja")
        }
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
