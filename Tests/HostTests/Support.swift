import Foundation
import Testing

import Host

/// A directory that goes away with the test.
final class Scratch {
    let path: String

    init() throws {
        let base = FileManager.default.temporaryDirectory.path
        path = try #require(FileSystem.real(base)) + "/martlet-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        try FileManager.default.createDirectory(atPath: FileSystem.parent(of: file), withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        return file
    }

    /// Puts a plugin in place: its manifest, and its library from a C source.
    func plugin(
        _ folder: String, source: String? = Project.fixture("tiny.c"), id: String = "test.tiny",
        component: String = "count", defines: [String] = [], manifest change: [String: String] = [:]
    ) throws {
        if let source {
            try compile(
                source, to: "\(folder)/libtiny.so",
                defines: ["-DID=\"\(id)\"", "-DCOMPONENT=\"\(component)\""] + defines)
        }
        try write("\(folder)/plugin.json", Project.manifest(id: id, component: component, change))
    }

    func compile(_ source: String, to name: String, defines: [String] = []) throws {
        let output = "\(path)/\(name)"
        try FileManager.default.createDirectory(
            atPath: FileSystem.parent(of: output), withIntermediateDirectories: true)
        let (status, text) = try Project.run(
            "/usr/bin/cc",
            [
                "-std=gnu11", "-shared", "-fPIC", "-O1", "-I\(Project.root)/Sources/PluginAPI/include", "-o", output,
                source,
            ] + defines)
        try #require(status == 0, "cc failed: \(text)")
    }

    /// The installation with one directory, and more members of plugins.json as JSON text.
    func installation(_ members: String = "") throws -> Installation {
        let file = try write(
            "plugins.json", #"{"schema": 1, "directories": ["."]"# + (members.isEmpty ? "" : ", " + members) + "}")
        var installation = try Installation(path: file)
        installation.scan()
        return installation
    }

    func registry(_ members: String = "") throws -> Registry {
        Registry(try installation(members), services: Services(log: Log(least: .error)))
    }
}

enum Project {
    static let root: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// Whether a program is on the path.
    static func has(_ tool: String) -> Bool { (try? run("/bin/sh", ["-c", "command -v \(tool)"]).0) == 0 }

    static func fixture(_ name: String) -> String { "\(root)/Tests/Fixtures/\(name)" }

    /// A manifest's text; `change` replaces members, given as JSON text, or removes them when empty.
    static func manifest(id: String, component: String, _ change: [String: String] = [:]) -> String {
        var members: [(String, String)] = [
            ("schema", "1"), ("id", "\"\(id)\""), ("version", "\"1.0.0\""), ("abi", #"{"major": 1, "minor": 0}"#),
            ("library", "\"libtiny.so\""), ("runtime", "\"c\""), ("os", "\"linux\""),
            ("architectures", "[\"\(Machine.current.architecture)\"]"),
            ("provides", #"[{"kind": "martlet.logger/1", "id": "\#(component)"}]"#),
            ("description", "\"A plugin of the tests.\""), ("license", "\"Apache-2.0\""),
        ]
        for (key, value) in change {
            members.removeAll { $0.0 == key }
            if !value.isEmpty { members.append((key, value)) }
        }
        return "{\n" + members.map { "  \"\($0.0)\": \($0.1)" }.joined(separator: ",\n") + "\n}\n"
    }

    static func run(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws -> (
        Int32, String
    ) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString).txt")
        try #require(FileManager.default.createFile(atPath: output.path, contents: nil))
        defer { try? FileManager.default.removeItem(at: output) }
        let handle = try FileHandle(forWritingTo: output)
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, try String(contentsOf: output, encoding: .utf8))
    }
}

/// What `body` was refused with.
func refusal<Value>(_ body: () throws -> Value) -> HostError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? HostError
    }
}
