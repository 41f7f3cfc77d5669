import Foundation
import JSON
import Template
import Testing

/// The outcome of a template that nobody vouches for.
private func outcome(
    _ source: String, _ variables: JSONObject = JSONObject(), budget: TemplateBudget = TemplateBudget()
) -> Result<String, TemplateError> {
    do throws(TemplateError) {
        return .success(try Template(source).render(variables, budget: budget, now: referenceTime).text)
    } catch {
        return .failure(error)
    }
}

@Suite("Hostile templates")
struct HostileTemplateTests {
    @Test("reach nothing but their values", arguments: Injections.all)
    func injections(_ source: String) {
        let variables = JSONObject([
            ("messages", [["role": "user", "content": "hi"]]), ("s", "text"), ("d", ["a": 1]),
        ])
        guard case .success(let text) = outcome(source, variables) else { return }
        for trace in ["<class", "<module", "<built-in", "uid=", "root:x", "object at 0x", "PATH=", "subprocess"] {
            #expect(!text.contains(trace), "\(source) gave \(text)")
        }
    }

    @Test(
        "are stopped by the budget",
        arguments: [
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "{{ 'a' * 10**10 }}", "{{ [1] * 10**9 }}", "{{ 'a' * 9223372036854775807 }}",
            "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{% for i in range(99999) %}{{ 'x' * 1000000 }}{% endfor %}",
            "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}",
            "{% set ns = namespace(d={}) %}{% for i in range(99999) %}{% set ns.d = {'k': ns.d} %}{% endfor %}",
            "{% set ns = namespace(m=1) %}{% for i in range(99999) %}{% set ns.m = (ns.m,).index %}{% endfor %}",
            "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
            "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
            "{{ '%999999999d' % 1 }}", "{{ '{:999999999}'.format(1) }}", "{{ 'a'.center(999999999) }}",
            "{{ 'a' | indent(999999999) }}", "{{ '%*d' % (999999999, 1) }}", "{{ 'a'.ljust(9223372036854775807) }}",
            "{{ ('a' * 10**6).replace('a', 'b' * 10**6) }}", "{{ ('a' * 10**6) | replace('', 'b' * 100) }}",
            "{{ range(100001) | list }}", "{{ range(-9223372036854775807, 9223372036854775807) }}",
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
            "{% set s = 'a' * 10**6 %}{% for i in range(99999) %}{{ s | upper | length }}{% endfor %}",
            "{% set l = range(10000) | list %}{% for i in range(9999) %}{{ (l | sort)[0] }}{% endfor %}",
            "{% set ns = namespace() %}{% for i in range(99999) %}{% set ns.a = namespace(p=ns.a) %}{% endfor %}{{ 'x' * 10**10 }}",
            "{{ range(100000) | map('string') | join('x' * 10000) }}", "{{ 'x' | batch(9999999999, 'y') | list }}",
            "{{ 'x' | slice(9999999999) | list }}", "{{ ('a,' * 10**6).split(',') | length }}{{ 2 ** 64 }}",
        ])
    func budgets(_ source: String) throws {
        let clock = ContinuousClock()
        let start = clock.now
        guard case .failure(let error) = outcome(source) else {
            Issue.record("\(source) was not stopped")
            return
        }
        #expect(error.kind == .budget || error.kind == .value, "\(error)")
        #expect(clock.now - start < .seconds(30))
    }

    @Test("that nest too deep are refused when they are parsed")
    func nesting() {
        for (open, close) in [
            ("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("{1:", "}"), ("a(", ")"), ("'x'~(", ")"),
        ] {
            let many = 100_000
            let source =
                "{{ " + String(repeating: open, count: many) + "1" + String(repeating: close, count: many) + " }}"
            guard case .failure(let error) = outcome(source) else {
                Issue.record("\(open) was accepted")
                continue
            }
            #expect(error.kind == .budget, "\(open): \(error.message)")
        }
        let chains =
            ["1" + String(repeating: " + 1", count: 9_999), "a" + String(repeating: ".a", count: 9_999)]
            + ["a" + String(repeating: "|upper", count: 9_999), "1" + String(repeating: " if 1", count: 9_999)]
        for chain in chains {
            guard case .failure(let error) = outcome("{{ \(chain) }}") else {
                Issue.record("a chain was accepted")
                continue
            }
            #expect(error.kind == .budget)
        }
        let blocks = String(repeating: "{% if 1 %}", count: 50_000)
        guard case .failure(let error) = outcome(blocks) else { return }
        #expect(error.kind == .budget)
    }

    @Test("work on texts in linear time")
    func linearTime() throws {
        let hostile = [
            "{{ ('a' * 10**7).find('a' * 10**6 ~ 'b') }}", "{{ ('a' * 10**7).rsplit('a' * 10**6 ~ 'b') | length }}",
            "{{ (' ' * 10**7).split() | length }}", "{{ (' ' * 10**7 ~ 'x').strip() }}",
            "{{ ('<' * 10**6) | striptags | length }}", "{{ ('Σ' * 10**6) | lower | length }}",
        ]
        for source in hostile {
            let clock = ContinuousClock()
            let start = clock.now
            var budget = TemplateBudget()
            budget.steps = 100_000_000
            _ = outcome(source, budget: budget)
            #expect(clock.now - start < .seconds(30), "\(source)")
        }
    }

    @Test("leave the interpreter standing whatever bytes they hold")
    func mutations() throws {
        let golden = try SharedData.golden("jinja.json")
        let variables = try #require(golden["variables"]?.object)
        let corpus = try #require(golden["cases"]?.array).compactMap { $0["template"]?.string }.map { Array($0.utf8) }
        var random = SplitMix(state: 20_251_123)
        // More on request: under the address sanitizer a long run finds what a short one does not.
        let rounds = ProcessInfo.processInfo.environment["MARTLET_FUZZ_ROUNDS"].flatMap(Int.init) ?? 30_000
        var budget = TemplateBudget()
        budget.steps = 20_000
        budget.outputBytes = 1 << 16
        let tokens = [
            "{{", "}}", "{%", "%}", "-", "|", ".", "(", ")", "[", "]", ":", "**", "'", "\\", "for", "if", " is ",
        ]
        .map { Array($0.utf8) }
        var rendered = 0
        for _ in 0..<rounds {
            var bytes = corpus[random.below(corpus.count)]
            for _ in 0...random.below(4) {
                let at = random.below(bytes.count + 1)
                switch random.below(5) {
                case 0: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
                case 1: if at < bytes.count { bytes.remove(at: at) }
                case 2: bytes.insert(contentsOf: tokens[random.below(tokens.count)], at: at)
                case 3:
                    bytes.replaceSubrange(at..., with: corpus[random.below(corpus.count)].dropFirst(random.below(20)))
                default: bytes += corpus[random.below(corpus.count)]
                }
            }
            if case .success = outcome(String(decoding: bytes, as: UTF8.self), variables, budget: budget) {
                rendered += 1
            }
        }
        #expect(rendered > rounds / 20)
    }
}

/// A small random generator, so that a failing round can be had again.
struct SplitMix {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(Swift.max(1, count))) }
}
