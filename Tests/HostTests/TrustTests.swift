import Foundation
import Host
import PluginAPI
import Testing

@Suite("Trust")
struct TrustTests {
    /// FIPS 180-4's example: SHA-256 of "abc".
    @Test func digestsAreSHA256() throws {
        let scratch = try Scratch()
        let path = try scratch.write("abc", "abc")
        #expect(try Digest.sha256(file: path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func aPinnedLibraryThatChangedIsRefused() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        let digest = try Digest.sha256(file: "\(scratch.path)/a/libtiny.so")
        _ = try scratch.registry(#""policy": {"sha256": {"test.tiny": "\#(digest)"}}"#).find(
            kind: MT_KIND_LOGGER, id: "count")
        let wrong = String(repeating: "0", count: 64)
        let registry = try scratch.registry(#""policy": {"sha256": {"test.tiny": "\#(wrong)"}}"#)
        let error = try #require(refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") })
        #expect(error.code == .policy)
        #expect(error.message.contains("has sha256 \(digest), policy.sha256 wants \(wrong)"))
    }

    @Test func signedModifiedForgedAndUnsignedAreToldApart() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        let keys = try Digest.makeKeys()
        let manifest = try Manifest(path: "\(scratch.path)/a/plugin.json")
        let library = "\(scratch.path)/a/libtiny.so"
        func outcome(_ publishers: String) throws -> String {
            let registry = try scratch.registry(#""policy": {"require_signed": true, "publishers": {\#(publishers)}}"#)
            return refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") }?.message ?? "loaded"
        }
        let trusted = "\"acme\": \"\(keys.publicKey)\""
        #expect(try outcome(trusted).hasPrefix("is not signed"))
        _ = try Signature.write(for: manifest, library: library, publisher: "acme", secret: keys.secret)
        #expect(try outcome("").hasPrefix("is signed by acme, whom policy.publishers does not name"))
        let other = try Digest.makeKeys().publicKey
        #expect(try outcome("\"acme\": \"\(other)\"") == "its signature is not that of acme")
        #expect(try outcome(trusted) == "loaded")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: library)) + Data([0])
        // The library is mapped by now: a new file takes its name, the old one's pages stay.
        try bytes.write(to: URL(fileURLWithPath: library), options: .atomic)
        #expect(try outcome(trusted).hasPrefix("was modified after it was signed"))
    }

    /// Without require_signed too: what a publisher whom the policy names has signed is whole, and is that publisher's.
    @Test func aSignatureThatIsThereHasToHold() throws {
        let scratch = try Scratch()
        let (acme, beta) = (try Digest.makeKeys(), try Digest.makeKeys())
        let library = "\(scratch.path)/a/libtiny.so"
        func outcome() throws -> String {
            let registry = try scratch.registry(
                #""policy": {"publishers": {"acme": "\#(acme.publicKey)", "beta": "\#(beta.publicKey)"}}"#)
            return refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") }?.message ?? "loaded"
        }
        try scratch.plugin("a")
        #expect(try outcome() == "loaded")
        let manifest = try Manifest(path: "\(scratch.path)/a/plugin.json")
        _ = try Signature.write(for: manifest, library: library, publisher: "acme", secret: acme.secret)
        #expect(try outcome() == "loaded")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: library)) + Data([0])
        try bytes.write(to: URL(fileURLWithPath: library), options: .atomic)
        #expect(try outcome().hasPrefix("was modified after it was signed"))
        // Another publisher's word does not stand for the one that the manifest names.
        try scratch.plugin("a", manifest: ["publisher": "\"acme\""])
        let named = try Manifest(path: "\(scratch.path)/a/plugin.json")
        #expect(throws: HostError.self) {
            try Signature.write(for: named, library: library, publisher: "beta", secret: beta.secret)
        }
        #expect(throws: HostError.self) {
            try Signature.write(for: manifest, library: library, publisher: "be ta/", secret: beta.secret)
        }
        _ = try Signature.write(for: manifest, library: library, publisher: "beta", secret: beta.secret)
        let signed = try String(contentsOfFile: "\(scratch.path)/a/plugin.sig", encoding: .utf8)
        #expect(signed.contains("beta"))
        #expect(try outcome().hasPrefix("its manifest names the publisher acme, and beta signed it"))
    }

    @Test(arguments: ["", "keys/", "ac me/!", ".hidden", String(repeating: "a", count: 129)])
    func aPublisherIsNamedAsInAManifest(name: String) throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        let made = try Program.run("plugin", "keygen", name.isEmpty ? "" : "\(scratch.path)/\(name)")
        #expect(made.status == 2 && made.text.contains("wanted letters, digits"), "\(made.text)")
        let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
        #expect(left.allSatisfy { !$0.hasSuffix(".secret") && !$0.hasSuffix(".public") }, "\(left)")
        let secret = try scratch.write("key", try Digest.makeKeys().secret + "\n")
        let signed = try Program.run("plugin", "sign", "\(scratch.path)/a", "--key", secret, "--publisher", name)
        #expect(
            signed.status == 3 && signed.text.contains("the publisher \"\(name)\" is no name; use letters, digits"),
            "\(signed.text)")
        #expect(!FileManager.default.fileExists(atPath: "\(scratch.path)/a/plugin.sig"))
    }

    @Test func aPluginIsAddedPinnedAndRemoved() throws {
        let scratch = try Scratch()
        try scratch.plugin("elsewhere/a", defines: ["-fvisibility=hidden"])
        let file = try scratch.write("etc/plugins.json", #"{"schema": 1}"#)
        let manifest = try Manifest(path: "\(scratch.path)/elsewhere/a/plugin.json")
        let digest = try Digest.sha256(file: "\(scratch.path)/elsewhere/a/libtiny.so")
        try InstallationFile(path: file).add(manifest, digest: digest)
        var installation = try Installation(path: file)
        installation.scan()
        #expect(installation.manifests.map(\.id) == ["test.tiny"])
        #expect(installation.policy.digests == ["test.tiny": digest])
        try InstallationFile(path: file).remove(manifest)
        installation = try Installation(path: file)
        installation.scan()
        #expect(installation.manifests.isEmpty)
        #expect(installation.policy.digests.isEmpty)
    }

    /// strace ends the process at the k-th call of each kind that changes files.
    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/strace"), "strace is missing"),
        arguments: ["add", "remove"])
    func aKillAtAnyMomentLeavesTheOldFileOrTheNew(change: String) throws {
        let scratch = try Scratch()
        try scratch.plugin("elsewhere/a")
        let without = #"{"schema": 1}"#
        let file = try scratch.write("etc/plugins.json", without)
        let environment = ["MARTLET_PLUGINS_JSON": file]
        let add = ["plugin", "add", "--no_check", "\(scratch.path)/elsewhere/a"]
        #expect(try Project.run(Program.path, add, environment: environment).0 == 0)
        var (old, words) = (without, add)
        if change == "remove" {
            (old, words) = (try String(contentsOfFile: file, encoding: .utf8), ["plugin", "remove", "test.tiny"])
            #expect(try Project.run(Program.path, words, environment: environment).0 == 0)
        }
        let new = try String(contentsOfFile: file, encoding: .utf8)
        #expect(new != old)
        var kills = 0
        for call in ["write", "pwrite64", "openat", "fsync", "rename", "close"] {
            for k in stride(from: 1, through: 120, by: call == "openat" || call == "close" ? 6 : 1) {
                try scratch.write("etc/plugins.json", old)
                let status = try Project.run(
                    "/usr/bin/strace",
                    ["-f", "-o", "/dev/null", "-e", "inject=\(call):signal=SIGKILL:when=\(k)", Program.path] + words,
                    environment: environment
                ).0
                let found = try String(contentsOfFile: file, encoding: .utf8)
                #expect(found == old || found == new, "killed at \(call) \(k)")
                if status == 0 { break }
                kills += 1
            }
        }
        #expect(kills > 5)
    }
}
