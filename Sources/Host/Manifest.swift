import JSON

/// What a plugin says of itself in plugin.json, read before any of its code runs.
package struct Manifest: Sendable, Equatable {
    /// A component that the plugin claims to offer.
    package struct Claim: Sendable, Equatable, Hashable {
        package let kind: String
        package let id: String
        package let summary: String
        /// Breaks ties between components that score the same: the higher goes first.
        package let priority: Int
    }
    package let id: String
    package let version: String
    package let abiMajor: Int
    /// The lowest minor that the plugin needs.
    package let abiMinor: Int
    /// File name of the shared library.
    package let library: String
    /// "c", or the Swift runtime that it was built with, such as "swift-6.3".
    package let runtime: String
    package let os: String
    package let architectures: [String]
    package let provides: [Claim]
    package let description: String
    package let license: String
    package let publisher: String?
    /// The file that this was read from.
    package let path: String

    /// The directory of the manifest.
    package var directory: String { FileSystem.parent(of: path) }
}

extension Manifest {
    package static let schema = Schema.object([
        .optional("$schema", .text(.any), "where the JSON Schema is, for editors"),
        .required("schema", .integer(1...1), "version of this file's format: 1"),
        .required("id", .text(.identifier), "the plugin's id, unique in an installation"),
        .required("version", .text(.version), "semantic version of the plugin"),
        .required(
            "abi",
            .object([
                .required("major", .integer(0...65535), "MT_ABI_MAJOR of the headers: 1"),
                .required("minor", .integer(0...65535), "lowest minor that the plugin needs"),
            ]), "version of the contract"),
        .required("library", .text(.fileName), "file name of the shared library"),
        .required("runtime", .text(runtimeRule), "what the library needs beside the system: c, or the Swift runtime"),
        .required("os", .text(.oneOf("linux")), "operating system"),
        .required("architectures", .list(of: .text(.oneOf("x86_64", "aarch64", "riscv64")), atLeast: 1), "processors"),
        .required(
            "provides",
            .list(
                of: .object([
                    .required("kind", .text(.interface), "interface id, such as martlet.model/1"),
                    .required("id", .text(.identifier), "the component's name within its kind"),
                    .optional("summary", .text(.any), "one line for listings"),
                    .optional(
                        "priority", .integer(-1_000_000...1_000_000),
                        "breaks ties between components that score the same, as mt_component says; 0 by default"),
                ])), "the components that the plugin offers"),
        .required("description", .text(.any), "one sentence for listings"),
        .required("license", .text(.any), "SPDX licence expression"),
        .optional("publisher", .text(.identifier), "whose key signs the plugin"),
    ])

    private static let runtimeRule = Schema.TextRule(
        wanted: "\"c\" or a Swift runtime such as \"swift-6.3\"", pattern: "^(c|swift-[0-9]+\\.[0-9]+)$"
    ) { text in
        if text == "c" { return true }
        guard text.hasPrefix("swift-") else { return false }
        let parts = text.dropFirst(6).split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { 48...57 ~= $0 } }
    }

    /// Reads and checks a manifest.
    /// - Throws: `HostError(.manifest)` naming file, line, field, found and wanted; `.io` when it cannot be read.
    package init(path: String) throws(HostError) {
        let document = try CheckedDocument(path: path, schema: Self.schema, code: .manifest)
        let root = document.root
        func text(_ key: String) -> String { root[key]?.string ?? "" }
        self.path = path
        id = text("id")
        version = text("version")
        abiMajor = root["abi"]?["major"]?.int ?? 0
        abiMinor = root["abi"]?["minor"]?.int ?? 0
        library = text("library")
        runtime = text("runtime")
        os = text("os")
        architectures = (root["architectures"]?.array ?? []).compactMap(\.string)
        description = text("description")
        license = text("license")
        publisher = root["publisher"]?.string
        provides = (root["provides"]?.array ?? []).map {
            Claim(
                kind: $0["kind"]?.string ?? "", id: $0["id"]?.string ?? "", summary: $0["summary"]?.string ?? "",
                priority: $0["priority"]?.int ?? 0)
        }
        var seen: [String: Int] = [:]
        for (i, claim) in provides.enumerated() {
            if let first = seen.updateValue(i, forKey: "\(claim.kind) \(claim.id)") {
                throw document.refusal(
                    "provides[\(i)]", "\(claim.kind) \(claim.id) is already claimed by provides[\(first)]",
                    fix: "remove one")
            }
        }
    }

    /// Refuses what cannot run in this process, from the manifest alone.
    package func checkFit(_ machine: Machine = .current) throws(HostError) {
        if abiMajor != Machine.abiMajor {
            throw HostError(
                .abi, path, "abi.major is \(abiMajor), and this host has \(Machine.abiMajor)",
                fix: "build the plugin against this host's headers")
        }
        if abiMinor > machine.abiMinor {
            throw HostError(
                .abi, path, "abi.minor is \(abiMinor), and this host has \(machine.abiMinor)",
                fix: "update Martlet, or build the plugin with MT_TARGET_MINOR=\(machine.abiMinor)")
        }
        if !architectures.contains(machine.architecture) {
            throw HostError(
                .library, path,
                "architectures are \(architectures.joined(separator: ", ")), and this machine is \(machine.architecture)",
                fix: "install the plugin's build for \(machine.architecture)")
        }
        if runtime != "c", runtime != machine.swiftRuntime {
            throw HostError(
                .abi, path, "runtime is \(runtime), and this host runs \(machine.swiftRuntime)",
                fix: "install the plugin's build for \(machine.swiftRuntime)")
        }
    }
}
