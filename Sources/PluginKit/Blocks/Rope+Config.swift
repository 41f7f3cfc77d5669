import Glibc
import JSON

extension RopeFrequencies {
    /// The frequencies that a config.json describes: rope_theta, partial_rotary_factor and rope_scaling (older files)
    /// or rope_parameters (newer ones).
    ///
    /// Formulas: default Su et al. 2021; linear Chen et al. 2023; yarn Peng et al. 2023 (2309.00071); llama3 as Meta's
    /// Llama 3.1 release states it.
    public init(_ config: ModelConfig, headWidth: Int) throws {
        let given = config.json["rope_parameters"] ?? config.json["rope_scaling"]
        let parameters = ModelConfig(given.flatMap { $0.object == nil ? nil : $0 } ?? .object(.init()))
        let theta = try parameters.double("rope_theta", default: try config.double("rope_theta", default: 10000))
        let partial = try parameters.double(
            "partial_rotary_factor", default: try config.double("partial_rotary_factor", default: 1))
        guard 0...1 ~= partial else {
            throw PluginError(
                .invalid, "\"partial_rotary_factor\" is \(partial), wanted from 0 to 1", at: "config.json")
        }
        let width = Int(Double(try Self.checked(headWidth)) * partial) / 2 * 2
        let plain = (0..<width / 2).map { pow(theta, -2 * Double($0) / Double(width)) }
        let type = try parameters.string("rope_type", default: try parameters.string("type", default: "default"))
        switch type {
        case "default", "mrope":
            self.init(values: plain)
        case "linear":
            let factor = try parameters.double("factor", default: 1)
            self.init(values: plain.map { $0 / factor })
        case "llama3":
            self.init(values: try Self.llama3(plain, parameters, config))
        case "yarn":
            try self.init(yarn: plain, theta: theta, width: width, parameters, config)
        case "dynamic":
            // Dynamic NTK: theta · (factor L / maximum - (factor - 1))^(w / (w - 2)) past the trained length.
            self.init(values: plain)
            let maximum = try parameters.int(
                "original_max_position_embeddings", default: try config.int("max_position_embeddings"))
            growth = .dynamic(factor: try parameters.double("factor", default: 1), maximum: maximum)
        case "longrope", "su":
            try self.init(longrope: plain, parameters, config)
        default:
            throw PluginError(
                .unsupported,
                "rope type \"\(type)\" is unknown; known are default, linear, dynamic, llama3, longrope, yarn",
                at: "config.json: rope_scaling")
        }
    }

    /// theta^(-2 i / width) for the width / 2 pairs of a head.
    public init(theta: Double, width: Int) throws {
        let width = try Self.checked(width)
        self.init(values: (0..<width / 2).map { pow(theta, -2 * Double($0) / Double(width)) })
    }

    /// A frequency is kept for each pair of a head's elements: some hundreds in published models.
    private static func checked(_ width: Int) throws -> Int {
        guard 0...1 << 16 ~= width else {
            throw PluginError(.invalid, "a head has \(width) elements, wanted at most 65536", at: "config.json")
        }
        return width
    }

    private static func llama3(_ plain: [Double], _ parameters: ModelConfig, _ config: ModelConfig) throws -> [Double] {
        let factor = try parameters.double("factor", default: 8)
        let low = try parameters.double("low_freq_factor", default: 1)
        let high = try parameters.double("high_freq_factor", default: 4)
        let original = Double(
            try parameters.int("original_max_position_embeddings", default: try config.int("max_position_embeddings")))
        return plain.map { frequency in
            let wavelength = 2 * Double.pi / frequency
            if wavelength > original / low { return frequency / factor }
            if wavelength < original / high { return frequency }
            let smooth = (original / wavelength - low) / (high - low)
            return (1 - smooth) * frequency / factor + smooth * frequency
        }
    }

    private init(
        yarn plain: [Double], theta: Double, width: Int, _ parameters: ModelConfig, _ config: ModelConfig
    ) throws {
        let maximum = Double(try config.int("max_position_embeddings", default: 4096))
        let original = try parameters.double("original_max_position_embeddings", default: maximum)
        let factor = try parameters.double("factor", default: maximum / original)
        let fast = try parameters.double("beta_fast", default: 32)
        let slow = try parameters.double("beta_slow", default: 1)
        func magnitude(_ scale: Double, _ weight: Double) -> Double { scale <= 1 ? 1 : 0.1 * weight * log(scale) + 1 }
        let mscale = try parameters.double("mscale", default: 0)
        let mscaleAll = try parameters.double("mscale_all_dim", default: 0)
        let usual =
            mscale != 0 && mscaleAll != 0
            ? magnitude(factor, mscale) / magnitude(factor, mscaleAll) : magnitude(factor, 1)
        let scale = try parameters.double("attention_factor", default: usual)
        /// The pair that turns `rotations` times over the original context.
        func pair(_ rotations: Double) -> Double {
            Double(width) * log(original / (rotations * 2 * Double.pi)) / (2 * log(theta))
        }
        let truncates = try parameters.bool("truncate", default: true)
        let low = max(truncates ? floor(pair(fast)) : pair(fast), 0)
        let high = min(truncates ? ceil(pair(slow)) : pair(slow), Double(width - 1))
        let values = plain.enumerated().map { i, frequency in
            let ramp = min(max((Double(i) - low) / (high == low ? 0.001 : high - low), 0), 1)
            return frequency / factor * ramp + frequency * (1 - ramp)
        }
        self.init(values: values, scale: scale)
    }
}
