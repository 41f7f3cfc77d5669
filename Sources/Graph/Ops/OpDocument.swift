/// Documentation/Ops.md, made from the table of ops.
package enum OpDocument {
    package static var text: String {
        var text = """
            # Ops

            What a graph is made of. This page is made from the table of ops in `Sources/Graph/Ops`; a test compares them. Shapes are
            concrete and tokens are flat; T stands for tokens, H for heads, W for a width, V for a vocabulary. Values are f32 unless said
            otherwise. Weights of `linear`, `embedding`, `label_logprobs` and `expert_linear` may be stored in any layout that the device
            holds. An input in brackets may be left out. Attributes are required unless their default is given. ∂ marks ops that gradients
            flow through.


            """
        for group in Op.groups {
            text += "## \(group.title)\n\n| op | computes | inputs | attributes |\n|---|---|---|---|\n"
            for op in group.ops { text += row(op) }
            text += "\n"
        }
        return String(text.dropLast())
    }

    private static func row(_ op: Op) -> String {
        let inputs = op.inputs.enumerated().map { i, name in
            let shown = "\(escaped(name))\(op.variadic ? " …" : "")"
            return i >= op.inputs.count - op.optionalInputs ? "(\(shown))" : shown
        }
        let attributes = op.attributes.map { rule in
            rule.isRequired
                ? "\(rule.name): \(kind(rule.fallback))"
                : "\(rule.name): \(kind(rule.fallback)) = \(shown(rule.fallback))"
        }
        return
            "| `\(op.name)`\(op.isDifferentiable ? " ∂" : "") | \(escaped(op.summary)) | \(inputs.joined(separator: ", ")) "
            + "| \(attributes.joined(separator: ", ")) |\n"
    }

    private static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }

    private static func kind(_ value: AttributeValue) -> String {
        switch value {
        case .int: return "int"
        case .float: return "float"
        case .bool: return "bool"
        case .string: return "text"
        case .ints: return "ints"
        case .floats: return "floats"
        }
    }

    private static func shown(_ value: AttributeValue) -> String {
        switch value {
        case .int(let value): return "\(value)"
        case .float(let value): return "\(value)"
        case .bool(let value): return "\(value)"
        case .string(let value): return "\"\(value)\""
        case .ints(let values): return "\(values)"
        case .floats(let values): return "\(values)"
        }
    }
}
