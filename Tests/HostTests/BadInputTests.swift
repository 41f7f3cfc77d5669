import Foundation
import Host
import Testing

/// What a user meets when a plugin, a manifest or plugins.json is bad: a message, an exit code, and the others work on.
@Suite("Bad input, at the command line")
struct BadInputTests {
    static func source(_ id: String, initialize: String = "return MT_OK;", before: String = "") -> String {
        """
        #include <martlet/define.h>
        #include <martlet/martlet.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        static mt_status judge(void *ctx, mt_str row, double *out, mt_error *error) {
            (void)ctx, (void)row, (void)error;
            *out = 4;
            return MT_OK;
        }
        static const mt_row_table table = {sizeof table, 0, judge};
        static const mt_component components[] = {MT_COMPONENT(MT_KIND_REWARD, "\(id)", "", &table)};
        static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
            (void)ctx, (void)host, (void)error;
            \(initialize)
        }
        \(before)
        MT_DEFINE_PLUGIN("test.\(id)", "1.0.0", components, initialize)
        """
    }

    func plugin(_ scratch: Scratch, _ id: String, _ text: String?, manifest: [String: String] = [:]) throws {
        if let text {
            let file = try scratch.write("src/\(id).c", text)
            try scratch.compile(file, to: "plugins/\(id)/libtiny.so", defines: ["-fvisibility=hidden"])
        }
        let provides = #"[{"kind": "martlet.reward/1", "id": "\#(id)"}]"#
        try scratch.write(
            "plugins/\(id)/plugin.json",
            Project.manifest(id: "test.\(id)", component: id, ["provides": provides].merging(manifest) { $1 }))
    }

    /// The good plugin answers, whatever stands beside it.
    func expectGood(_ scratch: Scratch, _ environment: [String: String]) throws {
        let good = try Program.run(
            "plugin", "call", "reward", "good", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(good.status == 0 && good.text.hasPrefix("row 1\t4.0\n"), "\(good.text)")
    }

    func scratch(_ members: String = "") throws -> (Scratch, [String: String]) {
        let scratch = try Scratch()
        try plugin(scratch, "good", Self.source("good"))
        let file = try scratch.write(
            "plugins.json",
            "{\"schema\": 1, \"directories\": [\"plugins\", \"\(Project.root)/Plugins/Datasets\"]\(members.isEmpty ? "" : ", " + members)}"
        )
        try scratch.write("rows.jsonl", "{\"a\": 1}\n")
        return (scratch, ["MARTLET_PLUGINS_JSON": file, "MARTLET_PLUGIN_TIMEOUT": "1"])
    }

    @Test(arguments: [
        ("return mt_fail(error, MT_DENIED, \"no licence\", \"\");", "its init failed: no licence"),
        ("return MT_IO;", "its init failed: failed with status 6 and gave no message"),
        (
            "*(volatile int *)0 = 1; return MT_OK;",
            "test.bad: crashed while it was being opened; martlet plugin check tells more"
        ),
        ("abort();", "test.bad: crashed while it was being opened"),
        ("for (;;) pause();", "test.bad: did not return within 1 s while it was being opened"),
        ("exit(0);", "test.bad: ended the process while it was being opened"),
    ])
    func aPluginThatFailsToOpenIsNamed(initialize: String, expected: String) throws {
        let (scratch, environment) = try scratch()
        try plugin(scratch, "bad", Self.source("bad", initialize: initialize))
        let bad = try Program.run(
            "plugin", "call", "reward", "bad", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(bad.status == 3)
        #expect(bad.text.contains(expected), "\(bad.text)")
        try expectGood(scratch, environment)
    }

    @Test(arguments: ["abc", "0", "-3", "1.5", "86401"]) func aTimeoutThatIsNoneIsRefused(seconds: String) throws {
        let refused = try Program.run("plugin", "list", environment: ["MARTLET_PLUGIN_TIMEOUT": seconds])
        #expect(refused.status == 2, "\(refused.text)")
        #expect(
            refused.text.contains("MARTLET_PLUGIN_TIMEOUT is \"\(seconds)\", wanted a whole number of seconds"),
            "\(refused.text)")
    }

    /// After it was opened nothing can be saved, but the one to blame is named: in its own code, and in what it called.
    @Test(arguments: [
        ("*(volatile int *)0 = 1;", "test.bad: crashed in its library"),
        ("abort();", "test.bad: crashed in what it called from its library"),
        ("raise(SIGSEGV);", "test.bad: crashed in what it called from its library"),
    ])
    func aPluginThatCrashesInACallIsNamed(body: String, expected: String) throws {
        let (scratch, environment) = try scratch()
        let source = Self.source("bad").replacing("*out = 4;", with: "\(body)\n *out = 4;")
            .replacing("#include <stdio.h>", with: "#include <signal.h>\n#include <stdio.h>")
        try plugin(scratch, "bad", source)
        let bad = try Program.run(
            "plugin", "call", "reward", "bad", "\(scratch.path)/rows.jsonl",
            environment: environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 })
        #expect(bad.status == SIGSEGV || bad.status == SIGABRT, "\(bad)")
        #expect(bad.text.contains(expected), "\(bad.text)")
        try expectGood(scratch, environment)
    }

    /// What a policy forbids is not added; what two offer is said at once.
    @Test func addAsksThePolicyAndTellsOfClashes() throws {
        let (scratch, environment) = try scratch(#""policy": {"deny": ["test.bad"]}"#)
        try plugin(scratch, "bad", Self.source("bad"))
        let file = try #require(environment["MARTLET_PLUGINS_JSON"])
        let before = try String(contentsOfFile: file, encoding: .utf8)
        let denied = try Program.run(
            "plugin", "add", "--no_check", "\(scratch.path)/plugins/bad", environment: environment)
        #expect(denied.status == 3 && denied.text.contains("policy.deny names this plugin"), "\(denied.text)")
        #expect(try String(contentsOfFile: file, encoding: .utf8) == before)
        let elsewhere = try Scratch()
        try plugin(
            elsewhere, "rival", Self.source("good").replacing("test.good", with: "test.rival"),
            manifest: ["provides": #"[{"kind": "martlet.reward/1", "id": "good"}]"#])
        let added = try Program.run(
            "plugin", "add", "--no_check", "\(elsewhere.path)/plugins/rival", environment: environment)
        #expect(added.status == 0, "\(added.text)")
        #expect(
            added.text.contains("martlet.reward/1 good is offered by test.good too, and neither is used until"),
            "\(added.text)")
    }

    @Test(
        arguments: [
            (nil, "libtiny.so is in none of"), ("short", "is not a shared library: it has 5 bytes"),
            (String(repeating: "y", count: 4096), "does not start with ELF's magic number"),
        ] as [(String?, String)])
    func aLibraryThatIsNoneIsNamed(content: String?, expected: String) throws {
        let (scratch, environment) = try scratch()
        try plugin(scratch, "bad", nil)
        if let content { try scratch.write("plugins/bad/libtiny.so", content) }
        let bad = try Program.run(
            "plugin", "call", "reward", "bad", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(bad.status == 3)
        #expect(bad.text.contains("test.bad") && bad.text.contains(expected), "\(bad.text)")
        try expectGood(scratch, environment)
    }

    @Test(arguments: [
        ("{", "plugin.json:1:2: is not JSON"), ("{\"schema\": 1, \"colour\": 2}", "colour: is not a known field"),
        ("{\"schema\": 1}", "the field \"id\" is missing"), ("[]", "found [], wanted an object"),
    ])
    func aBadManifestIsListedAndTheOthersWork(manifest: String, expected: String) throws {
        let (scratch, environment) = try scratch()
        try scratch.write("plugins/bad/plugin.json", manifest)
        let listed = try Program.run("plugin", "list", environment: environment)
        #expect(listed.status == 3)
        #expect(listed.text.contains(expected) && listed.text.contains("test.good"), "\(listed.text)")
        try expectGood(scratch, environment)
    }

    @Test(arguments: [
        (["abi": #"{"major": 1, "minor": 40}"#], "abi.minor is 40, and this host has 0; update Martlet"),
        (["architectures": #"["riscv64"]"#], "architectures are riscv64"),
        (["id": "\"test.good\""], "the id test.good is already that of"),
        (["version": "\"2.0.0\""], "says version \"1.0.0\", its manifest \"2.0.0\""),
        (
            ["provides": #"[{"kind": "martlet.reward/1", "id": "bad"}, {"kind": "martlet.reward/1", "id": "more"}]"#],
            "its manifest claims martlet.reward/1 more"
        ),
        (
            ["provides": #"[{"kind": "martlet.reward/1", "id": "good2"}, {"kind": "martlet.reward/1", "id": "bad"}]"#],
            "its manifest claims martlet.reward/1 good2"
        ),
    ])
    func aManifestThatDoesNotFitIsRefused(change: [String: String], expected: String) throws {
        let (scratch, environment) = try scratch()
        // Read after the good one's: found in the order of their names.
        try plugin(
            scratch, "hbad", Self.source("bad"),
            manifest: ["provides": #"[{"kind": "martlet.reward/1", "id": "bad"}]"#, "id": "\"test.bad\""].merging(
                change
            ) { $1 })
        let bad = try Program.run(
            "plugin", "call", "reward", "bad", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(bad.status == 3)
        #expect(bad.text.contains(expected), "\(bad.text)")
        try expectGood(scratch, environment)
    }

    @Test func aComponentThatTwoClaimIsRefusedUntilOneIsPreferred() throws {
        let (scratch, environment) = try scratch()
        for id in ["one", "two"] {
            try plugin(
                scratch, id, Self.source("same").replacing("test.same", with: "test.\(id)"),
                manifest: ["provides": #"[{"kind": "martlet.reward/1", "id": "same"}]"#])
        }
        let rows = "\(scratch.path)/rows.jsonl"
        let both = try Program.run("plugin", "call", "reward", "same", rows, environment: environment)
        #expect(both.status == 3)
        #expect(
            both.text.contains(
                "is claimed by test.one and test.two; set preferences.martlet.reward/1.same to one of them"),
            "\(both.text)")
        try expectGood(scratch, environment)
        let file = try #require(environment["MARTLET_PLUGINS_JSON"])
        let text = try String(contentsOfFile: file, encoding: .utf8)
        try text.replacing(
            "{\"schema\": 1,",
            with: "{\"schema\": 1, \"preferences\": {\"martlet.reward/1\": {\"same\": \"test.two\"}},"
        )
        .write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try Program.run("plugin", "call", "reward", "same", rows, environment: environment).status == 0)
    }

    @Test(arguments: [
        (
            #""policy": {"sha256": {"test.bad": "0000000000000000000000000000000000000000000000000000000000000000"}}"#,
            "policy.sha256 wants 0000"
        ),
        (#""policy": {"deny": ["test.bad"]}"#, "policy.deny names this plugin"),
        (
            #""policy": {"allow": ["test.good", "martlet.datasets.jsonl", "martlet.datasets.csv", "martlet.datasets.json", "martlet.datasets.parquet", "martlet.datasets.text"]}"#,
            "policy.allow does not name this plugin"
        ),
        (
            #""plugins": {"test.bad": {"enabled": false}}"#,
            "its plugin test.bad is disabled; set plugins.test.bad.enabled to true"
        ),
    ])
    func thePolicyKeepsOneOutAndLetsTheOthersIn(members: String, expected: String) throws {
        let (scratch, environment) = try scratch(members)
        try plugin(scratch, "bad", Self.source("bad"))
        let bad = try Program.run(
            "plugin", "call", "reward", "bad", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(bad.status == 3)
        #expect(bad.text.contains(expected), "\(bad.text)")
        try expectGood(scratch, environment)
    }

    /// A publisher's word: none, another's, one for an older build, and one from nobody that the policy knows.
    @Test func aSignatureThatDoesNotHoldKeepsThePluginOut() throws {
        let (scratch, _) = try scratch()
        let keys = try Digest.makeKeys()
        func call(_ publisher: String, _ key: String) throws -> (status: Int32, text: String) {
            let file = try scratch.write(
                "signed.json",
                "{\"schema\": 1, \"directories\": [\"plugins/good\"], \"policy\": {\"require_signed\": true, \"publishers\": {\"\(publisher)\": \"\(key)\"}}}"
            )
            return try Program.run(
                "plugin", "call", "reward", "good", "\(scratch.path)/rows.jsonl",
                environment: ["MARTLET_PLUGINS_JSON": file])
        }
        #expect(try call("acme", keys.publicKey).text.contains("is not signed"))
        try scratch.write("acme.secret", keys.secret)
        let signed = try Program.run(
            "plugin", "sign", "\(scratch.path)/plugins/good", "--key", "\(scratch.path)/acme.secret", "--publisher",
            "acme")
        #expect(signed.status == 0, "\(signed.text)")
        let unknown = try call("other", keys.publicKey)
        #expect(
            unknown.status == 3 && unknown.text.contains("is signed by acme, whom policy.publishers does not name"),
            "\(unknown.text)")
        let forged = try call("acme", try Digest.makeKeys().publicKey)
        #expect(forged.status == 3 && forged.text.contains("its signature is not that of acme"), "\(forged.text)")
        try plugin(
            scratch, "good", Self.source("good") + "\n/* built again */ static int unused __attribute__((used)) = 7;")
        let changed = try call("acme", keys.publicKey)
        #expect(changed.status == 3 && changed.text.contains("was modified after it was signed"), "\(changed.text)")
    }

    @Test func directoriesThatCannotBeReadAreNamed() throws {
        let (scratch, environment) = try scratch()
        try scratch.write("file", "")
        let file = try #require(environment["MARTLET_PLUGINS_JSON"])
        let text = try String(contentsOfFile: file, encoding: .utf8)
        for (directory, expected) in [("gone", "gone"), ("file", "file")] {
            try text.replacing("[\"plugins\"", with: "[\"\(directory)\", \"plugins\"").write(
                toFile: file, atomically: true, encoding: .utf8)
            let listed = try Program.run("plugin", "list", environment: environment)
            #expect(listed.status == 3)
            #expect(listed.text.contains("\(scratch.path)/\(expected): opening: found"), "\(listed.text)")
            try expectGood(scratch, environment)
        }
        let named = try Program.run("plugin", "list", "--plugin_path", "/nonexistent")
        #expect(named.status == 3)
        #expect(
            named.text.contains(
                "/nonexistent: this plugin directory does not exist; correct --plugin_path or MARTLET_PLUGIN_PATH"))
    }

    @Test func withoutPluginsJSONThePluginsBesideTheProgramAreThere() throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: "\(scratch.path)/bin", withIntermediateDirectories: true)
        // Copied by another process: while this one writes a program, a child forked meanwhile holds the file open for
        // writing too, and the system refuses to run such a file (ETXTBSY).
        let copied = try Project.run("/bin/cp", [Program.path, "\(scratch.path)/bin/martlet"])
        try #require(copied.0 == 0, "\(copied.1)")
        let empty = try Project.run("\(scratch.path)/bin/martlet", ["plugin", "list"])
        #expect(empty.0 == 0, "\(empty.1)")
        #expect(empty.1 == "PLUGIN  VERSION  STATE  COMPONENTS\n")
        try scratch.write("share/martlet/plugins/a/plugin.json", Project.manifest(id: "test.a", component: "a"))
        let one = try Project.run("\(scratch.path)/bin/martlet", ["plugin", "list"])
        #expect(one.0 == 0 && one.1.contains("test.a"), "\(one.1)")
        // A file that add makes keeps what was there without one.
        try scratch.plugin("elsewhere/b", id: "test.b", component: "b")
        let added = try Project.run(
            "\(scratch.path)/bin/martlet", ["plugin", "add", "--no_check", "\(scratch.path)/elsewhere/b"])
        #expect(added.0 == 0, "\(added.1)")
        let both = try Project.run("\(scratch.path)/bin/martlet", ["plugin", "list"])
        #expect(both.0 == 0 && both.1.contains("test.a") && both.1.contains("test.b"), "\(both.1)")
        let named = try Project.run(
            "\(scratch.path)/bin/martlet", ["plugin", "list"],
            environment: ["MARTLET_PLUGINS_JSON": "/nonexistent.json"])
        #expect(named.0 == 3)
        #expect(
            named.1.contains("/nonexistent.json: MARTLET_PLUGINS_JSON names this file, and it does not exist"),
            "\(named.1)")
    }

    @Test(arguments: [
        ("", "plugins.json:1:1: is not JSON"),
        ("{\"schema\": 1,\n \"policy\": {\"alow\": []}}", "plugins.json:2: policy.alow: is not a known field"),
        ("{\"schema\": 9}", "schema: found 9, wanted an integer from 1 to 1"),
        ("{\"schema\": 1, \"schema\": 1}", "is not JSON"),
    ])
    func aDamagedPluginsJSONIsNamedAndNeverOverwritten(text: String, expected: String) throws {
        let scratch = try Scratch()
        try scratch.plugin("elsewhere/a")
        let file = try scratch.write("plugins.json", text)
        for words in [["plugin", "list"], ["plugin", "add", "--no_check", "\(scratch.path)/elsewhere/a"]] {
            let (status, found) = try Project.run(Program.path, words, environment: ["MARTLET_PLUGINS_JSON": file])
            #expect(status == 3)
            #expect(found.contains(expected), "\(found)")
            #expect(try String(contentsOfFile: file, encoding: .utf8) == text)
        }
    }
}
