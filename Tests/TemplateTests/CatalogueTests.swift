import Foundation
import JSON
import Template
import Testing

/// The data files of this project.
let resources = ResourceFolder(
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Resources").path)

@Suite("Catalogue")
struct CatalogueTests {
    let models: ModelCatalogue
    let datasets: DatasetCatalogue

    init() throws {
        models = try ModelCatalogue(resources)
        datasets = try DatasetCatalogue(resources)
    }

    @Test("has every model of the reference list, each found by its own id")
    func ids() throws {
        #expect(models.entries.count == 1193)
        for entry in models.entries {
            #expect(try models.resolve(entry.id.uppercased()).id.lowercased() == entry.id.lowercased())
        }
    }

    @Test(
        "knows short spellings",
        arguments: [
            ("qwen-7b", "Qwen/Qwen-7B"), ("qwen-7b-chat", "Qwen/Qwen-7B-Chat"), ("Qwen-7B", "Qwen/Qwen-7B"),
            ("qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct"), ("qwen2.5-7b", "Qwen/Qwen2.5-7B"),
            ("qwen-1.8b-chat", "Qwen/Qwen-1_8B-Chat"), ("qwen3-0.6b", "Qwen/Qwen3-0.6B"),
            ("llama3-8b", "LLM-Research/Meta-Llama-3-8B"),
            ("llama3-8b-instruct", "LLM-Research/Meta-Llama-3-8B-Instruct"),
            ("llama-3.2-1b-instruct", "LLM-Research/Llama-3.2-1B-Instruct"),
            ("meta-llama/Llama-3.2-1B-Instruct", "LLM-Research/Llama-3.2-1B-Instruct"),
            ("glm-4-9b-chat", "ZhipuAI/glm-4-9b-chat"), ("gemma-2-2b-it", "LLM-Research/gemma-2-2b-it"),
            ("qwen2.5_7b_instruct_gptq_int4", "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4"),
        ])
    func shortSpellings(_ spelling: String, _ id: String) throws {
        #expect(try models.resolve(spelling).id == id)
    }

    @Test("lists what an ambiguous name may mean, and what is near an unknown one")
    func unclear() throws {
        func failure(_ name: String) -> CatalogueError? {
            do { _ = try models.resolve(name) } catch { return error }
            return nil
        }
        let several = try #require(failure("qwen"))
        #expect(several.candidates.count > 1 && several.description.contains("several"))
        let unknown = try #require(failure("Qwen/Qwen2.5-0.5B-Instrct"))
        #expect(unknown.candidates.first == "Qwen/Qwen2.5-0.5B-Instruct")
        for hostile in ["", "/", "a/b/c", String(repeating: "x", count: 100_000), "\u{0}", "../../etc/passwd"] {
            #expect(failure(hostile) != nil)
        }
    }

    @Test("leads from an architecture to model types and from those to chat formats")
    func types() {
        #expect(models.modelTypes(architecture: "Qwen2ForCausalLM").first == "qwen2")
        #expect(models.templates(modelType: "qwen2").prefix(2) == ["qwen", "qwen2_5"])
        #expect(models.templates(modelType: "gemma3_text") == ["gemma3_text"])
    }

    @Test("knows datasets by id, alias and short spelling")
    func datasetNames() throws {
        #expect(try datasets.resolve("alpaca-en").id == "AI-ModelScope/alpaca-gpt4-data-en")
        #expect(try datasets.resolve("hh-rlhf-dpo").id == "AI-ModelScope/hh-rlhf")
        #expect(try datasets.resolve("alpaca-gpt4-data-zh").id == "AI-ModelScope/alpaca-gpt4-data-zh")
        #expect(try datasets.resolve("vicgalle/alpaca-gpt4").id == "AI-ModelScope/alpaca-gpt4-data-en")
        #expect(try datasets.resolve("self-cognition").subsets.contains("qwen3"))
        #expect(throws: CatalogueError.self) { try datasets.resolve("alpaca") }
        #expect(throws: CatalogueError.self) { try datasets.resolve("no/such-set") }
    }

    @Test("knows how the columns of datasets are read, or that it does not")
    func datasetColumns() throws {
        #expect(try datasets.resolve("alpaca-en").columns == [:])
        #expect(try datasets.resolve("databricks/databricks-dolly-15k").columns == ["context": "input"])
        #expect(
            try datasets.resolve("lvjianjin/AdvertiseGen").columns == ["content": "query", "summary": "response"])
        #expect(
            try datasets.resolve("OmniData/Zhihu-KOL").columns == ["INSTRUCTION": "query", "RESPONSE": "response"])
        #expect(try datasets.resolve("AI-ModelScope/leetcode-solutions-python").columns == nil)
        #expect(datasets.entries.filter { $0.columns != nil }.count == 160)
    }
}
