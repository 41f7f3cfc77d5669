// swift-tools-version: 6.1
import PackageDescription

let exports = "\(Context.packageDirectory)/exports.map"

let package = Package(
    name: "squaredrelu",
    products: [.library(name: "squaredrelu", type: .dynamic, targets: ["squaredrelu"])],
    dependencies: [.package(path: "../../../../Tools/PluginKit")],
    targets: [
        .target(
            name: "squaredrelu", dependencies: [.product(name: "PluginKit", package: "PluginKit")], path: "Sources",
            linkerSettings: [
                .unsafeFlags(["-Xlinker", "--version-script=\(exports)", "-Xlinker", "-z", "-Xlinker", "nodelete"])
            ])
    ],
    swiftLanguageModes: [.v6]
)
