import Foundation
import Host
import Testing

/// What a loaded plugin does in calls, and what plugins.json says of things that are not there.
extension BadInputTests {
    /// Rooms call what a table holds without asking: a table that is not whole keeps its plugin out.
    @Test(arguments: [
        ("{sizeof table, 0, NULL}", "its martlet.reward/1 bad cannot be called: the function at byte 8 is NULL"),
        ("{8, 0, judge}", "its martlet.reward/1 bad cannot be called: struct_size is 8, wanted 16"),
    ])
    func aTableThatIsNotWholeIsRefused(table: String, expected: String) throws {
        let (scratch, environment) = try scratch()
        try plugin(scratch, "bad", Self.source("bad").replacing("{sizeof table, 0, judge}", with: table))
        let bad = try Program.run(
            "plugin", "call", "reward", "bad", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(bad.status == 3 && bad.text.contains(expected), "\(bad.text)")
        try expectGood(scratch, environment)
    }

    /// Whoever is asked about a file is asked beside others; one that cannot be opened keeps none from answering.
    @Test(arguments: ["dataset", "hub"]) func oneThatIsProbedAndCannotBeOpenedIsPassedOver(kind: String) throws {
        let (scratch, environment) = try scratch()
        try plugin(
            scratch, "bad", nil,
            manifest: ["provides": "[{\"kind\": \"martlet.\(kind)/1\", \"id\": \"bad\", \"priority\": 9}]"])
        try scratch.write("plugins/bad/libtiny.so", "junk")
        let called = try Program.run(
            "plugin", "call", "reward", "good", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(called.status == 0 && called.text.contains("row 1\t4.0\n"), "\(called.text)")
        #expect(called.text.contains("plugin left out: test.bad") == (kind == "dataset"), "\(called.text)")
    }

    /// What a plugin prints in a call is no part of the program's answer, and the checker finds it.
    @Test func standardOutputIsTheProgramsOwn() throws {
        let (scratch, environment) = try scratch()
        let source = Self.source("bad").replacing("*out = 4;", with: "printf(\"noise\\n\"); fflush(stdout); *out = 4;")
        try plugin(scratch, "bad", source)
        let rows = "\(scratch.path)/rows.jsonl"
        let script = "'\(Program.path)' plugin call reward bad '\(rows)' --json 2>/dev/null"
        let (status, text) = try Project.run("/bin/sh", ["-c", script], environment: environment)
        #expect(status == 0 && !text.contains("noise") && text.contains("4"), "\(text)")
        let checked = try Program.run("plugin", "check", "\(scratch.path)/plugins/bad", environment: environment)
        #expect(checked.status == 3 && checked.text.contains("kind-row\tit wrote"), "\(checked.text)")
    }

    @Test func anExitInACallIsNoSuccess() throws {
        let (scratch, environment) = try scratch()
        try plugin(scratch, "bad", Self.source("bad").replacing("*out = 4;", with: "exit(0); *out = 4;"))
        let bad = try Program.run(
            "plugin", "call", "reward", "bad", "\(scratch.path)/rows.jsonl", environment: environment)
        #expect(bad.status == 3 && bad.text.contains("ended the process in the midst of the work"), "\(bad.text)")
    }

    @Test(arguments: [
        (
            #""policy": {"deny": ["test.godo"]}"#,
            "policy.deny names test.godo, which is not installed; did you mean test.good?"
        ),
        (
            #""plugins": {"test.goood": {"enabled": false}}"#,
            "plugins.test.goood names test.goood, which is not installed"
        ),
        (
            #""preferences": {"martlet.reward/1": {"good": "test.gold"}}"#,
            "preferences.martlet.reward/1.good names test.gold, which is not installed; did you mean test.good?"
        ),
        (
            #""policy": {"publishers": {"acme": "00"}}"#,
            "policy.publishers.acme: found \"00\", wanted an Ed25519 public key: 64 hexadecimal digits"
        ),
    ])
    func aSlipOfThePenIsSaid(members: String, expected: String) throws {
        let (_scratch, environment) = try scratch(members)
        let listed = try withExtendedLifetime(_scratch) { try Program.run("plugin", "list", environment: environment) }
        #expect(listed.status == 3 && listed.text.contains(expected), "\(listed.text)")
    }

    /// Its directory is gone, or its manifest damaged: what plugins.json says of it can be taken out all the same.
    @Test func whatIsBrokenCanBeRemoved() throws {
        let (scratch, environment) = try scratch()
        try scratch.plugin("elsewhere/b", id: "test.b", component: "b")
        let place = "\(scratch.path)/elsewhere/b"
        #expect(try Program.run("plugin", "add", "--no_check", place, environment: environment).status == 0)
        try FileManager.default.removeItem(atPath: place)
        let listed = try Program.run("plugin", "list", environment: environment)
        #expect(listed.status == 3 && listed.text.contains("or martlet plugin remove \(place)"), "\(listed.text)")
        for name in ["test.b", place] {
            let removed = try Program.run("plugin", "remove", name, environment: environment)
            #expect(removed.status == 0 && removed.text.hasPrefix("removed \(name) from"), "\(removed.text)")
        }
        #expect(try Program.run("plugin", "list", environment: environment).status == 0)
        let again = try Program.run("plugin", "remove", "test.b", environment: environment)
        #expect(again.status == 3 && again.text.contains("no such plugin is installed"), "\(again.text)")
    }

    @Test func directoriesMayOverlap() throws {
        let (scratch, environment) = try scratch()
        let listed = try Program.run(
            "plugin", "list", "--plugin_path", "\(scratch.path)/plugins/good", environment: environment)
        #expect(listed.status == 0, "\(listed.text)")
    }

    @Test func theCheckerSaysWhyThereIsNoLibrary() throws {
        let (scratch, _) = try scratch()
        let checked = try Program.run(
            "plugin", "check", "\(scratch.path)/plugins/good",
            environment: ["MARTLET_PLUGINS_JSON": "/nonexistent.json"])
        #expect(checked.status == 3 && checked.text.contains("MARTLET_PLUGINS_JSON names this file"), "\(checked.text)")
    }
}
