import Files
import Glibc
import JSON

/// The metadata of a GGUF file, made from config.json.
struct GGUFMetadata {
    private(set) var entries: [(key: String, value: JSON)] = []
    private let architecture: GGUFArchitecture
    let config: JSON

    /// A vector of rope factors, which GGUF keeps among the tensors.
    struct RopeTensor {
        let name: String
        let values: [Float]
    }

    init(_ architecture: GGUFArchitecture, config: JSON, path: String) throws(FileError) {
        self.architecture = architecture
        self.config = config
        try Self.checkConstants(architecture, config, path)
        // llama.cpp tells Mixtral from Llama by the count of experts alone.
        let id = architecture.id == "mixtral" ? "llama" : architecture.id
        add("general.architecture", .string(id))
        add("general.type", "model")
        add("general.quantization_version", 2)
        func put(_ key: String, _ value: JSON?) {
            if let value, !value.isNull { add("\(id).\(key)", value) }
        }
        for (key, member) in GGUFConfig.members {
            if key == "attention.sliding_window", config["use_sliding_window"]?.bool == false { continue }
            // What these mean is in GGUF's terms below.
            if id == "minicpm", key == "logit_scale" || key == "residual_scale" { continue }
            guard let value = config[architecture.configKeys[key] ?? member],
                value.int != nil || value.double != nil || value.bool != nil
            else { continue }
            put(key, value)
        }
        let known = Set(GGUFConfig.members.map(\.key))
        for (key, member) in architecture.configKeys where !known.contains(key) { put(key, config[member]) }
        guard let width = Self.headWidth(config, architecture) else {
            let heads = architecture.configKeys["attention.head_count"] ?? "num_attention_heads"
            throw FileError(path, "config", found: "no \(FileError.quote(heads))", wanted: "a number above 0")
        }
        if config["head_dim"] == nil { put("attention.key_length", .int(Int64(width))) }
        put("attention.value_length", .int(Int64(width)))
        if id != "gpt2", id != "bert" {
            put("rope.dimension_count", .int(Int64(Double(width) * (config["partial_rotary_factor"]?.double ?? 1))))
        }
        for (key, value) in try Self.own(id, config, path) { add(key, value) }
        put("vocab_size", config["vocab_size"])
        if config["rope_theta"] == nil { put("rope.freq_base", config["rope_parameters"]?["rope_theta"]) }
        // OLMo's norms have no weights, and its configuration no epsilon.
        if id == "olmo" { put("attention.layer_norm_epsilon", 1e-5) }
        addScaling(put)
    }

    /// GGUF leaves unsaid what is the same in all of an architecture's models: another value could not be told.
    private static func checkConstants(_ architecture: GGUFArchitecture, _ config: JSON, _ path: String)
        throws(FileError)
    {
        var wanted = (architecture.constants.object ?? JSONObject()).map { ($0.key, $0.value) }
        if architecture.id.hasPrefix("gemma") {
            // Older files of Gemma name the activation wrongly.
            wanted.removeAll { $0.0 == "hidden_act" }
            let layers = config["num_hidden_layers"]?.int
            let isLargest = architecture.id == "gemma2" && layers == 46 || architecture.id == "gemma3" && layers == 62
            if !isLargest, let width = headWidth(config, architecture) {
                wanted.append(("query_pre_attn_scalar", .int(Int64(width))))
            }
        }
        for (key, value) in wanted {
            guard let found = config[key], !found.isNull, found != value,
                found.double == nil || found.double != value.double
            else { continue }
            throw FileError(
                path, "config \(FileError.quote(key))", found: found.text(), wanted: value.text(),
                fix: "GGUF files of \(architecture.id) cannot say otherwise; write safetensors.")
        }
    }

    mutating func add(_ key: String, _ value: JSON) {
        entries.removeAll { $0.key == key }
        entries.append((key, value))
    }

    private func addScaling(_ put: (String, JSON?) -> Void) {
        let scaling = Self.scaling(config)
        switch Self.scalingType(scaling) {
        case "linear", "yarn":
            put("rope.scaling.type", scaling?["rope_type"] ?? scaling?["type"])
            put("rope.scaling.factor", scaling?["factor"])
            put("rope.scaling.original_context_length", scaling?["original_max_position_embeddings"])
            put("rope.scaling.attn_factor", scaling?["attention_factor"])
        case "longrope", "su":
            put("rope.scaling.original_context_length", config["original_max_position_embeddings"])
            let original = config["original_max_position_embeddings"]?.double ?? 4096
            let scale = max(1, (config["max_position_embeddings"]?.double ?? original) / original)
            put("rope.scaling.attn_factor", .double(scale <= 1 ? 1 : (1 + log(scale) / log(original)).squareRoot()))
        default: break
        }
    }

    private static func scaling(_ config: JSON) -> JSON? { config["rope_scaling"] ?? config["rope_parameters"] }
    private static func scalingType(_ scaling: JSON?) -> String {
        scaling?["rope_type"]?.string ?? scaling?["type"]?.string ?? "default"
    }

    private static func headWidth(_ config: JSON, _ architecture: GGUFArchitecture) -> Int? {
        if let width = (config["head_dim"] ?? config[architecture.configKeys["attention.key_length"] ?? "head_dim"])?
            .int
        {
            return width
        }
        guard let hidden = config[architecture.configKeys["embedding_length"] ?? "hidden_size"]?.int,
            let heads = config[architecture.configKeys["attention.head_count"] ?? "num_attention_heads"]?.int, heads > 0
        else { return nil }
        return hidden / heads
    }

    /// Unscaled over scaled frequency of each pair, for the scalings that GGUF holds as tensors.
    static func ropeTensors(_ config: JSON, _ path: String) throws(FileError) -> [RopeTensor] {
        let scaling = scaling(config)
        switch scalingType(scaling) {
        // Dynamic NTK changes nothing within the trained length, and the file says no longer one.
        case "default", "dynamic", "linear", "yarn": return []
        case "longrope", "su":
            return ["long", "short"].map { length in
                RopeTensor(
                    name: "rope_factors_\(length).weight",
                    values: (scaling?["\(length)_factor"]?.array ?? []).map { Float($0.double ?? 1) })
            }
        case "llama3":
            let heads = config["num_attention_heads"]?.int ?? 1
            let width = config["head_dim"]?.int ?? (config["hidden_size"]?.int ?? 0) / max(1, heads)
            let theta = config["rope_theta"]?.double ?? scaling?["rope_theta"]?.double ?? 10000
            let factor = scaling?["factor"]?.double ?? 8
            let low = scaling?["low_freq_factor"]?.double ?? 1, high = scaling?["high_freq_factor"]?.double ?? 4
            let positions = scaling?["original_max_position_embeddings"]?.double ?? 8192
            let values = (0..<width / 2).map { i in
                let wavelength = 2 * Double.pi * pow(theta, 2 * Double(i) / Double(width))
                let share = min(max((positions / wavelength - low) / (high - low), 0), 1)
                return Float(1 / ((1 - share) / factor + share))
            }
            return [RopeTensor(name: "rope_freqs.weight", values: values)]
        case let other:
            throw FileError(
                path, "config \"rope_scaling\"", found: FileError.quote(other),
                wanted: "one of linear, yarn, llama3, longrope",
                fix: "llama.cpp has no such scaling of rotary positions.")
        }
    }

    // MARK: Tokenizer

    /// GGUF's own keys where the model came from such a file, else those made of the files in a directory.
    mutating func addTokenizer(_ options: JSON) throws(FileError) {
        if let own = options["tokenizer"]?.object {
            for (key, value) in own { add(key, value) }
        } else if let directory = options["directory"]?.string {
            addPooling(directory)
            for (key, value) in try GGUFTokenizer.keys(directory, config: config) { add(key, value) }
        }
        if !entries.contains(where: { $0.key == "tokenizer.ggml.model" }) { add("tokenizer.ggml.model", "none") }
        if let template = options["chat_template"], template.string != nil { add("tokenizer.chat_template", template) }
    }
}
