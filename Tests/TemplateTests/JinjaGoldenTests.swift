import JSON
import Template
import Testing

@Suite("Jinja semantics")
struct JinjaGoldenTests {
    /// Where this interpreter refuses what jinja2 lets pass, on purpose.
    private static let stricter: Set<String> = [
        // Python objects that the values of a template do not have.
        "{{ n.real is defined }}", "{{ joiner }}", "{{ cycler }}",
        // Inert in jinja2, refused here.
        "{{ missing.__class__ }}", "{{ '{0.__class__}'.format(1) }}", "{{ ''|attr('__class__')|attr('__mro__') }}",
        // Tags that nothing closes.
        "{#", "{% raw %}",
    ]

    @Test("equal jinja2's own results, with transformers' settings")
    func everyGolden() throws {
        let golden = try SharedData.golden("jinja.json")
        let variables = try #require(golden["variables"]?.object)
        let cases = try #require(golden["cases"]?.array)
        #expect(cases.count > 800)
        var differences: [String] = []
        for golden in cases {
            let source = try #require(golden["template"]?.string)
            do {
                let result = try Template(source, name: "golden").render(variables, now: referenceTime)
                let wanted = golden["text"]?.string
                if !Self.stricter.contains(source), !result.text.utf8.elementsEqual((wanted ?? "\u{0}failure").utf8) {
                    differences.append("\(source)  wanted: \(golden.text())  found: \(result.text)")
                }
                if let spans = golden["generated"]?.array {
                    let scalars = Array(result.text.unicodeScalars)
                    let wanted = spans.map { span in
                        scalars[(span[0]?.int ?? 0)..<(span[1]?.int ?? 0)].map(String.init).joined()
                    }
                    let utf8 = Array(result.text.utf8)
                    let found = (result.generated ?? []).map { String(decoding: utf8[$0], as: UTF8.self) }
                    if wanted != found { differences.append("\(source)  spans: \(wanted)  found: \(found)") }
                }
            } catch {
                if golden["error"] == nil, !Self.stricter.contains(source) {
                    differences.append("\(source)  wanted: \(golden.text())  failed: \(error)")
                }
            }
        }
        #expect(differences.isEmpty, "\(differences.count) differ")
        for difference in differences { print(difference) }
    }
}
