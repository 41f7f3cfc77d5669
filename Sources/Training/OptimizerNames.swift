internal import Host

/// The names that transformers and print know optimizers by.
package enum OptimizerNames {
    /// Names of `--optim` by the component that does the same. Fused and paged forms differ in speed and memory alone.
    private static let spellings: [String: [String]] = [
        "adamw": [
            "adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adamw_apex_fused",
            "adamw_hf",
            "adamw_anyprecision", "paged_adamw_32bit", "paged_adamw", "dpo_adamw_torch",
        ],
        "adamw_8bit": ["adamw_bnb_8bit", "paged_adamw_8bit", "adamw_torch_8bit"],
        "lion": ["lion_32bit", "paged_lion_32bit", "paged_lion"],
        "lion_8bit": ["lion_bnb_8bit", "paged_lion_8bit"],
        "rmsprop": ["rmsprop_bnb", "rmsprop_bnb_32bit"],
    ]

    /// The component of an optimizer's name.
    /// - Parameter installed: Ids of the optimizers that are there; each is a name too.
    package static func component(_ name: String, installed: [String]) throws -> String {
        let id = spellings.first { $0.value.contains(name) }?.key ?? name
        if installed.contains(id) { return id }
        let known = (installed + spellings.filter { installed.contains($0.key) }.flatMap(\.value)).sorted()
        let near = nearest(name, in: known).map { "; did you mean \($0)?" } ?? "."
        throw TrainingError(
            .notFound, "no optimizer of this name is installed\(near) Known are \(known.joined(separator: ", "))",
            at: "optim \(name)")
    }
}
