import JSON
import Testing
import YAML

@Suite struct YAMLTests {
    /// The scalars of YAML 1.2.2, example 10.3 (core schema), and words that YAML 1.1 took for booleans.
    @Test func plainScalarsFollowTheCoreSchema() throws {
        let text = """
            a: null
            b:
            c: [true, False, 0, 0o7, 0x3A, -19, 0., -0.0, .5, +12e03, -2E+05, .inf, 1e-4]
            d: [yes, on, 1.2.3, "1", '~', 2024-01-01, e5, -]
            """
        let value = try YAML.parse(text)
        #expect(value["a"] == .null)
        #expect(value["b"] == .null)
        #expect(
            value["c"] == [
                true, false, 0, 7, 58, -19, 0.0, -0.0, 0.5, 12e03, -2e05, .double(.infinity), 1e-4,
            ])
        #expect(value["d"]?.array?.prefix(7).map(\.string) == ["yes", "on", "1.2.3", "1", "~", "2024-01-01", "e5"])
    }

    @Test func theRegistrationOfADatasetIsRead() throws {
        let text = """
            my_instruct_data:
              train: /path/to/train.jsonl
              val: /path/to/val.jsonl
              format: "instruction: {input}, response: {output}"
              task: sft
            """
        #expect(try YAML.parse(text)["my_instruct_data"]?["format"] == "instruction: {input}, response: {output}")
    }

    @Test func anchorsAreCopiedAndMerged() throws {
        let value = try YAML.parse("base: &b {x: 1, y: 2}\none: *b\ntwo:\n  <<: *b\n  y: 3\n")
        #expect(value["one"] == ["x": 1, "y": 2])
        #expect(value["two"] == ["x": 1, "y": 3])
    }

    @Test func hostileTextsAreErrors() {
        func message(_ text: String) -> String? {
            do throws(YAMLError) {
                _ = try YAML.parse(text)
                return nil
            } catch { return error.description }
        }
        #expect(message("a: 1\na: 2") == "line 2, column 1: the key \"a\" stands twice")
        #expect(message("a: [1, 2")?.hasPrefix("line 2") == true)
        #expect(message("*x") == "line 1, column 1: the alias *x names nothing before it")
        #expect(message(String(repeating: "[", count: 5000))?.contains("deeper") == true)
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for i in 1...20 {
            bomb += "a\(i): &a\(i) [" + Array(repeating: "*a\(i - 1)", count: 10).joined(separator: ", ") + "]\n"
        }
        #expect(message(bomb)?.hasSuffix("too many aliases") == true)
    }
}
