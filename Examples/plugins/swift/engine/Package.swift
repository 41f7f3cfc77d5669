// swift-tools-version: 6.1
import PackageDescription

let exports = "\(Context.packageDirectory)/exports.map"

let package = Package(
    name: "ownengine",
    products: [.library(name: "ownengine", type: .dynamic, targets: ["ownengine"])],
    dependencies: [.package(path: "../../../../Tools/PluginKit")],
    targets: [
        .target(
            name: "ownengine", dependencies: [.product(name: "PluginKit", package: "PluginKit")], path: "Sources",
            linkerSettings: [
                .unsafeFlags(["-Xlinker", "--version-script=\(exports)", "-Xlinker", "-z", "-Xlinker", "nodelete"])
            ])
    ],
    swiftLanguageModes: [.v6]
)
