import Foundation
import Host
import JSON
import Testing

/// Every plugin of this repository, before the questions that third parties' are asked.
@Suite("plugin check of what we ship")
struct ShippedPluginsTests {
    static let manifests: [String] = {
        var installation = try? Installation(path: "\(Project.root)/plugins.json")
        installation?.scan()
        return installation?.manifests.map(\.path) ?? []
    }()
    /// Small configurations of published architectures.
    static let configs: [String] = {
        let families = "\(Project.root)/Tests/Goldens/families"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: families)) ?? []
        return names.sorted().map { "\(families)/\($0)/config.json" }
    }()

    /// What is read before a device is written stays short, and the pages say how short.
    @Test func theReferenceDeviceIsReadInOneSitting() throws {
        let folder = "\(Project.root)/Plugins/Devices/Reference"
        let lines = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
            .reduce(0) {
                $0 + (try String(contentsOfFile: "\(folder)/\($1)", encoding: .utf8).filter(\.isNewline).count)
            }
        #expect(lines <= 250)
        for page in ["Structure", "Kinds/device"] {
            let text = try String(contentsOfFile: "\(Project.root)/Documentation/\(page).md", encoding: .utf8)
            #expect(text.contains("\(lines) lines"), "\(page): \(lines)")
        }
    }

    @Test func thereAreManyOfThem() { #expect(Self.manifests.count > 30) }

    @Test(arguments: ShippedPluginsTests.manifests)
    func everyPluginPasses(manifest: String) throws {
        let kinds = try Manifest(path: manifest).provides.map(\.kind)
        var words = ["plugin", "check", "--timeout", "60", FileSystem.parent(of: manifest)]
        if kinds.contains("martlet.model/1") { words += ["--model_config"] + Self.configs }
        let (status, text) = try Project.run(Program.path, words)
        let failures = text.split(separator: "\n").filter { !$0.hasPrefix("success") && !$0.hasPrefix("skipped") }
        #expect(status == 0, "\(failures.joined(separator: "\n"))")
        for kind in ["model", "dataset", "checkpoint", "tokenizer", "tuner", "optimizer", "alignment", "device", "hub"]
        where kinds.contains("martlet.\(kind)/1") {
            #expect(text.contains("success\tkind-\(kind)\t"), "\(text)")
        }
    }
}
