import Foreign
import Foundation
import Host
import JSON
import PluginAPI
import PluginKit
import Testing
import Threads

@Suite("Functions of plain libraries")
struct ForeignTests {
    private static func entry(_ function: String, kind: String = "martlet.metric/1", _ more: String = "") -> String {
        #""foreign": [{"kind": "\#(kind)", "id": "f", "library": "lib/libplain.so", "function": "\#(function)"\#(more.isEmpty ? "" : ", " + more)}]"#
    }

    private func scratch(defines: [String] = ["-lm"]) throws -> Scratch {
        let scratch = try Scratch()
        try scratch.compile(Project.fixture("foreign.c"), to: "lib/libplain.so", defines: defines)
        return scratch
    }

    /// The scratch folder lives as long as the process: libraries are opened after the call that made it.
    private func registry(_ scratch: Scratch, _ members: String) throws -> Registry {
        _ = Unmanaged.passRetained(scratch)
        return Registry(
            try scratch.installation(members), services: Services(log: Log(least: .error)), bind: ForeignFunction.bind)
    }

    private func judge(_ registry: Registry, kind: String = MT_KIND_METRIC, _ row: String) throws -> Double {
        let component = try registry.find(kind: kind, id: "f")
        let table = component.table(mt_row_table())
        var out = 0.0
        try checked { error in row.lent { table.judge?(component.context, $0, &out, error) ?? MT_ERROR } }
        return out
    }

    @Test(arguments: [
        (
            "double agreement(const char *completion, const char *solution)",
            #"{"completion": "abcd", "solution": "abxd"}"#, 0.75
        ),
        (
            "double weighted_sum(const double *scores, size_t count, double factor);",
            #"{"scores": [1, 2.5, -1], "factor": 2}"#, 5
        ),
        ("double weighted_sum(const double scores[], size_t count, double factor)", #"{"scores": [], "factor": 2}"#, 0),
        (
            "double digits(bool a, int b, unsigned c, long d, unsigned long e, float f, double g)",
            #"{"a": true, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7}"#, 7_654_321
        ),
        ("float half(int32_t x)", #"{"x": -5}"#, -2.5), ("long long negative(int x)", #"{"x": 2}"#, -6e9),
        ("unsigned int large(int x)", #"{"x": 7}"#, 4_000_000_007), ("bool is_even(int x)", #"{"x": 4}"#, 1),
        ("bool is_even(int x)", #"{"x": 3}"#, 0),
        ("extern int long_enough(char const *text, int least)", #"{"text": "å", "least": 2}"#, 1),
    ])
    func aFunctionIsCalledByItsPrototype(function: String, row: String, expected: Double) throws {
        #expect(try judge(try registry(try scratch(), Self.entry(function)), row) == expected)
    }

    @Test func argumentsComeFromPathsAndConstants() throws {
        let members = Self.entry(
            "int long_enough(const char *text, int least)", kind: MT_KIND_FILTER,
            #""arguments": {"text": "messages[1].content"}, "constants": {"least": 4}"#)
        let registry = try registry(try scratch(), members)
        func kept(_ answer: String) throws -> Double {
            try judge(
                registry, kind: MT_KIND_FILTER,
                #"{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "\#(answer)"}]}"#)
        }
        #expect(try kept("yes") == 0)
        #expect(try kept("certainly") == 1)
    }

    @Test func aListOfMessagesGoesAsItsText() throws {
        let members = Self.entry("int long_enough(const char *messages, int least)", #""constants": {"least": 14}"#)
        let registry = try registry(try scratch(), members)
        #expect(try judge(registry, #"{"messages": [{"role":"a"}]}"#) == 1)  // [{"role":"a"}] has 14 bytes.
    }

    @Test(arguments: [
        ("double agreement", "is no prototype"),
        ("double agreement(const char *a, const struct x *b)", "parameter 2 is a pointer to struct x"),
        ("char *agreement(const char *a)", "the result may be written to"),
        ("void agreement(const char *a)", "returns no number"),
        ("double agreement(char *a, const char *b)", "parameter 1 may be written to; wanted const char *"),
        ("double agreement(const char *a, const char *a)", "two parameters are named a"),
        ("double agreement(const char *, const char *)", "parameter 1 has no name"),
        ("double agreement(short a)", "parameter 1 has the type \"short\""),
        ("double agreement(void)", "has 0 parameters"),
        ("double weighted_sum(const double *scores)", "the array scores has no length"),
        ("double weighted_sum(const double *scores, double count)", "count follows an array, and is no integer"),
        ("double f(double (*g)(int))", "is"), ("double f(double x = 3)", "holds \"=\""),
    ])
    func aPrototypeThatCannotBeCalledIsRefusedWithItsPlace(function: String, expected: String) throws {
        let registry = try registry(try scratch(), Self.entry(function))
        let error = try #require(refusal { try registry.find(kind: MT_KIND_METRIC, id: "f") })
        #expect(error.code == .installation)
        #expect(error.description.contains(expected), "\(error)")
        #expect(error.description.contains("plugins.json:1: foreign[0].function"), "\(error)")
    }

    @Test(arguments: [
        (
            "double agreemnt(const char *completion)", HostError.Code.entry,
            "does not export agreemnt; did you mean agreement?"
        ),
        ("double table_size(int x)", .entry, "table_size in"),
        ("double table_size(int x)", .entry, "is data and no function"),
    ])
    func aMissingSymbolIsNamed(function: String, code: HostError.Code, expected: String) throws {
        let registry = try registry(try scratch(), Self.entry(function))
        let error = try #require(refusal { try registry.find(kind: MT_KIND_METRIC, id: "f") })
        #expect(error.code == code)
        #expect(error.description.contains(expected), "\(error)")
    }

    @Test func aFunctionOfCPlusPlusIsToldApart() throws {
        let scratch = try Scratch()
        let file = try scratch.write("plain.cpp", String(contentsOfFile: Project.fixture("foreign.c"), encoding: .utf8))
        try scratch.compile(file, to: "lib/libplain.so")
        let registry = try registry(scratch, Self.entry("int long_enough(const char *text, int least)"))
        let error = try #require(refusal { try registry.find(kind: MT_KIND_METRIC, id: "f") })
        #expect(error.description.contains("declare it extern \"C\""), "\(error)")
    }

    @Test(arguments: [
        (
            #""arguments": {"txt": "a"}"#,
            "foreign[0].arguments.txt: long_enough has no parameter txt; did you mean text?"
        ),
        (#""constants": {"least": "four"}"#, #"constants.least is "four", wanted an integer"#),
        (#""constants": {"least": 1e12}"#, "wanted an integer from -2147483648 to 2147483647"),
    ])
    func aWrongArgumentIsNamed(more: String, expected: String) throws {
        let registry = try registry(try scratch(), Self.entry("int long_enough(const char *text, int least)", more))
        let error = try #require(refusal { try registry.find(kind: MT_KIND_METRIC, id: "f") })
        #expect(error.description.contains(expected), "\(error)")
    }

    @Test(arguments: [
        ("double logarithm(double x)", "{}", "the row has no x, which logarithm wants as x"),
        ("double logarithm(double x)", #"{"x": null}"#, "the row has no x"),
        ("double logarithm(double x)", #"{"x": "1"}"#, #"x is "1", wanted a number for x"#),
        ("double logarithm(double x)", #"{"x": -1}"#, "gave -nan, wanted a finite number"),
        (
            "int long_enough(const char *text, int least)", #"{"text": "a\u0000b", "least": 1}"#,
            "wanted a text without NUL"
        ),
        (
            "double weighted_sum(const double *scores, size_t n, double k)", #"{"scores": [1, "2"], "k": 1}"#,
            "wanted an array of numbers"
        ),
        ("unsigned large(unsigned x)", #"{"x": -1}"#, "wanted an integer from 0 to 4294967295"),
        ("double logarithm(double x)", "[", "expected"),
    ])
    func aRowThatDoesNotFitIsRefused(function: String, row: String, expected: String) throws {
        let registry = try registry(try scratch(), Self.entry(function))
        let error = #expect(throws: PluginError.self) { try judge(registry, row) }
        #expect(error?.message.contains(expected) == true, "\(String(describing: error))")
    }

    /// What plugins.json says of a plugin, it says of a function's id too.
    @Test func whatHoldsForPluginsHoldsForFunctions() throws {
        let scratch = try scratch()
        let function = Self.entry("bool is_even(int x)")
        func outcome(_ members: String) throws -> String {
            refusal { try registry(scratch, members).find(kind: MT_KIND_METRIC, id: "f") }?.description ?? "loaded"
        }
        let zeros = String(repeating: "0", count: 64)
        #expect(
            try outcome(function + ", \"policy\": {\"sha256\": {\"foreign.f\": \"\(zeros)\"}}").contains(
                "policy.sha256.foreign.f wants 0000"))
        #expect(
            try outcome(function + #", "plugins": {"foreign.f": {"enabled": false}}"#).contains(
                "its plugin foreign.f is disabled; set plugins.foreign.f.enabled to true"))
        #expect(try outcome(function + #", "policy": {"deny": ["foreign.f"]}"#).contains("policy.deny names"))
        let twice = function.replacing("]", with: "") + ", " + function.dropFirst(#""foreign": ["#.count)
        let error = refusal { try scratch.installation(twice) }
        #expect(error?.message == "foreign[1]: martlet.metric/1 f is already foreign[0]")
    }

    /// The library's own code runs when it is linked.
    @Test func aLibraryThatCrashesWhileItIsOpenedIsNamed() throws {
        let scratch = try Scratch()
        let source = try scratch.write(
            "crash.c",
            "__attribute__((constructor)) static void start(void) { __builtin_trap(); }\nint f(int x) { return x; }")
        try scratch.compile(source, to: "lib/libplain.so")
        let file = try scratch.write(
            "plugins.json",
            "{\"schema\": 1, \"directories\": [\"\(Project.root)/Plugins/Datasets\"], \(Self.entry("int f(int x)"))}")
        let rows = try scratch.write("rows.jsonl", "{\"x\": 1}\n")
        let called = try Program.run("plugin", "call", "metric", "f", rows, environment: ["MARTLET_PLUGINS_JSON": file])
        #expect(
            called.status == 3 && called.text.contains("foreign.f: crashed while it was being opened"), "\(called.text)"
        )
    }

    @Test func policyHoldsForPlainLibrariesToo() throws {
        let scratch = try scratch()
        let function = Self.entry("bool is_even(int x)")
        func outcome(_ members: String) throws -> String {
            refusal { try registry(scratch, members).find(kind: MT_KIND_METRIC, id: "f") }?.description ?? "loaded"
        }
        #expect(try outcome(function + #", "policy": {"deny": ["foreign.f"]}"#).contains("policy.deny names"))
        #expect(try outcome(function + #", "policy": {"require_signed": true}"#).contains("carries no signature"))
        #expect(try outcome(function + #", "policy": {"search_directories": ["/usr"]}"#).contains("lies outside"))
        let digest = try Digest.sha256(file: "\(scratch.path)/lib/libplain.so")
        let pinned = Self.entry("bool is_even(int x)", #""sha256": "\#(digest)""#)
        #expect(try outcome(pinned + #", "policy": {"require_signed": true}"#) == "loaded")
        let other = Self.entry("bool is_even(int x)", #""sha256": "\#(String(repeating: "0", count: 64))""#)
        #expect(try outcome(other).contains("has sha256 \(digest)"))
        #expect(
            try outcome(function.replacing("libplain", with: "libgone")).contains(
                "libgone.so is not there; looked for \(scratch.path)/lib/libgone.so"))
        #expect(
            try outcome(function.replacing("metric/1", with: "logger/1")).contains(
                "martlet.metric/1 f: no plugin of this kind"))
    }

    @Test func oneCallAtATimeUnlessItIsSaidToBeThreadSafe() throws {
        let registry = try registry(
            try scratch(), Self.entry("double agreement(const char *completion, const char *solution)"))
        let component = try registry.find(kind: MT_KIND_METRIC, id: "f")
        let table = component.table(mt_row_table())
        let judge = table.judge
        nonisolated(unsafe) let context = component.context
        nonisolated(unsafe) let results = UnsafeMutablePointer<Double>.allocate(capacity: 2000)
        defer { results.deallocate() }
        ThreadPool(count: 4).parallel(2000) { index, _ in
            results[index] = -1
            _ = #"{"completion": "ab", "solution": "\#(index % 2 == 0 ? "ab" : "xb")"}"#.lent {
                judge?(context, $0, results + index, nil) ?? 1
            }
        }
        #expect((0..<2000).allSatisfy { results[$0] == ($0 % 2 == 0 ? 1 : 0.5) })
    }

    @Test func pluginCallTellsEachRowAndTheMean() throws {
        let scratch = try scratch()
        let file = try scratch.write(
            "plugins.json",
            "{\"schema\": 1, \(Self.entry("double logarithm(double x)")), \"directories\": [\"\(Project.root)/Plugins/Datasets\"]}"
        )
        let rows = try scratch.write("rows.jsonl", "{\"x\": 1}\n{\"y\": 1}\n")
        let environment = ["MARTLET_PLUGINS_JSON": file]
        let called = try Program.run("plugin", "call", "metric", "f", rows, environment: environment)
        #expect(called.status == 1)
        #expect(
            called.text
                == "row 1\t0.0\nrow 2\tx: the row has no x, which logarithm wants as x\n1 rows, mean 0.0, 1 failed\n")
        let listed = try Program.run("plugin", "list", "--kind", "metric", environment: environment)
        #expect(listed.text.contains("foreign.f") && listed.text.contains("martlet.metric/1 f"), "\(listed.text)")
        let absent = try Program.run("plugin", "call", "metric", "g", rows, environment: environment)
        #expect(absent.status == 3)
        #expect(absent.text.contains("martlet.metric/1 g: is not installed; installed are f"), "\(absent.text)")
    }
}
