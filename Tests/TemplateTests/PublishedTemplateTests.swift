import Foundation
import JSON
import Template
import Testing

/// The time at which the reference renderings were made.
let referenceTime = TemplateTime(year: 2025, month: 7, day: 26, hour: 9, minute: 30)

@Suite("Templates of released models")
struct PublishedTemplateTests {
    @Test(
        "render as jinja2 does, and fail where it fails",
        .enabled(if: SharedData.templates != nil, "no shared data folder"))
    func everyReferenceRendering() throws {
        let folder = try #require(SharedData.templates)
        let reference = try JSON(
            parsing: SharedData.gunzip(folder.appending(path: "reference_renderings.json.gz")))
        let cases = try #require(reference["cases"])
        let renderings = try #require(reference["renderings"]?.array)
        var templates: [String: Template] = [:]
        var differences: [String] = []
        for rendering in renderings {
            let file = try #require(rendering["template"]?.string)
            let name = try #require(rendering["case"]?.string)
            if templates[file] == nil {
                let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
                templates[file] = try Template(text, name: file)
            }
            var variables = try #require(cases[name]?.object)
            variables["bos_token"] = "<s>"
            variables["eos_token"] = "</s>"
            do {
                let text = try #require(templates[file]).render(variables, now: referenceTime).text
                if text != rendering["text"]?.string || !text.utf8.elementsEqual((rendering["text"]?.string ?? "").utf8)
                {
                    differences.append(
                        "\(file) / \(name): wanted \(rendering.text()), found \(JSON.string(text).text())")
                }
            } catch {
                if rendering["error"] == nil { differences.append("\(file) / \(name): \(error)") }
            }
        }
        #expect(renderings.count >= 705)
        #expect(differences.isEmpty, "\(differences.count) differ; first: \(differences.first ?? "")")
        for difference in differences.prefix(12) { print(difference) }
    }
}
