// swift-tools-version: 6.1
import PackageDescription

let exports = "\(Context.packageDirectory)/exports.map"

let package = Package(
    name: "slowchip",
    products: [.library(name: "slowchip", type: .dynamic, targets: ["slowchip"])],
    dependencies: [.package(path: "../../../../Tools/PluginKit")],
    targets: [
        .target(
            name: "slowchip", dependencies: [.product(name: "PluginKit", package: "PluginKit")], path: "Sources",
            linkerSettings: [
                .unsafeFlags(["-Xlinker", "--version-script=\(exports)", "-Xlinker", "-z", "-Xlinker", "nodelete"])
            ])
    ],
    swiftLanguageModes: [.v6]
)
