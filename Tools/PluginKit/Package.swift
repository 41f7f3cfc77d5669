// swift-tools-version: 6.1
import PackageDescription

// What a plugin in Swift depends on by path: the contract's headers and their Swift face.
let package = Package(
    name: "PluginKit",
    products: [.library(name: "PluginKit", type: .static, targets: ["PluginKit"])],
    targets: [
        .target(name: "PluginAPI"),
        .target(name: "JSON", linkerSettings: [.linkedLibrary("m")]),
        .target(name: "PluginKit", dependencies: ["PluginAPI", "JSON"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
