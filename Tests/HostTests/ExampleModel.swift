import Foundation
import JSON
import Testing

/// The small Llama of the golden families, on which plugins of the examples are used.
enum ExampleModel {
    /// Under another architecture's name.
    static func llama(_ scratch: Scratch, architecture: String) throws -> String {
        let source = "\(Project.root)/Tests/Goldens/families/llama"
        let config = try String(contentsOfFile: "\(source)/config.json", encoding: .utf8)
        try scratch.write("model/config.json", config.replacing("LlamaForCausalLM", with: architecture))
        try FileManager.default.copyItem(
            atPath: "\(source)/model.safetensors", toPath: "\(scratch.path)/model/model.safetensors")
        return "\(scratch.path)/model"
    }

    /// With a tokenizer of bytes and a template that leaves texts as they are: trained/ in the scratch directory.
    @discardableResult
    static func trainable(_ scratch: Scratch) throws -> String {
        let source = "\(Project.root)/Tests/Goldens/families/llama"
        try scratch.write("trained/config.json", String(contentsOfFile: "\(source)/config.json", encoding: .utf8))
        try FileManager.default.copyItem(
            atPath: "\(source)/model.safetensors", toPath: "\(scratch.path)/trained/model.safetensors")
        try scratch.write(
            "trained/tokenizer_config.json", #"{"tokenizer_class": "ByT5Tokenizer", "eos_token": "</s>"}"#)
        try scratch.write("trained/chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}")
        return "\(scratch.path)/trained"
    }

    /// The mean of the scored log-probabilities.
    static func loss(_ text: String) throws -> Double {
        let line = text.split(separator: "\n").first { $0.hasPrefix("{\"index\"") } ?? ""
        let values = try JSON(parsing: String(line))["logprobs"]?.array?.compactMap(\.double) ?? []
        return values.reduce(0, +) / Double(max(values.count, 1))
    }
}
