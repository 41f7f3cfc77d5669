// swift-tools-version: 6.1
import PackageDescription

// MARK: Plugins

/// One folder under Plugins/: a dynamic library that exports `martlet_plugin_entry` alone.
struct Plugin {
    /// The folder, such as "Models/Llama". The target and library are named by it: ModelsLlama, libModelsLlama.so.
    let folder: String
    /// What it links beyond PluginKit.
    var links: [Target.Dependency] = []
    /// C sources that stand in subfolders of the plugin's own as targets of their own.
    var exclude: [String] = []
    /// Its tests look inside.
    var isTestable = false
    var target: String { folder.split(separator: "/").joined() }
}

/// Adding a plugin is one line here and one in plugins.json at most.
let plugins: [Plugin] = [
    Plugin(folder: "Checkpoints/GGUF", links: ["CheckpointSupport", "Files"]),
    Plugin(folder: "Checkpoints/PyTorch", links: ["CheckpointSupport", "Files"]),
    Plugin(folder: "Checkpoints/Safetensors", links: ["CheckpointSupport", "Files"]),
    Plugin(folder: "Datasets/CSV", links: ["Streams"]),
    Plugin(folder: "Datasets/JSON", links: ["RowCheck", "Streams"]),
    Plugin(folder: "Datasets/JSONL", links: ["RowCheck", "Streams"]),
    Plugin(folder: "Datasets/Parquet", links: ["Files", "Streams"]),
    Plugin(folder: "Datasets/Text", links: ["Streams"]),
    Plugin(folder: "Devices/CPU", links: ["CPUKernels"], exclude: ["Kernels"]),
    Plugin(folder: "Devices/Reference"),
    Plugin(folder: "Engines/Native", isTestable: true),
    Plugin(folder: "Loggers/Plot", links: ["CPNG"]),
    Plugin(folder: "Loggers/TensorBoard"),
    Plugin(folder: "Losses/DPO"),
    Plugin(folder: "Losses/KTO"),
    Plugin(folder: "Losses/SFT"),
    Plugin(folder: "Models/BERT"),
    Plugin(folder: "Models/Baichuan"),
    Plugin(folder: "Models/CLIP"),
    Plugin(folder: "Models/ChatGLM"),
    Plugin(folder: "Models/Cohere"),
    Plugin(folder: "Models/DeepSeek"),
    Plugin(folder: "Models/Falcon"),
    Plugin(folder: "Models/GLM4"),
    Plugin(folder: "Models/GLM4MoE"),
    Plugin(folder: "Models/GPT2"),
    Plugin(folder: "Models/GPTNeoX"),
    Plugin(folder: "Models/Gemma"),
    Plugin(folder: "Models/Gemma2"),
    Plugin(folder: "Models/Gemma3"),
    Plugin(folder: "Models/InternLM2"),
    Plugin(folder: "Hubs/HuggingFace", links: ["HubSupport"]),
    Plugin(folder: "Hubs/Local"),
    Plugin(folder: "Hubs/ModelScope", links: ["HubSupport"]),
    Plugin(folder: "Hubs/Wheel", links: ["HubSupport"]),
    Plugin(folder: "Models/Llama"),
    Plugin(folder: "Models/MiniCPM"),
    Plugin(folder: "Models/Mistral"),
    Plugin(folder: "Models/Mixtral"),
    Plugin(folder: "Models/ModernBERT"),
    Plugin(folder: "Models/OLMo"),
    Plugin(folder: "Models/OLMo2"),
    Plugin(folder: "Models/OLMoE"),
    Plugin(folder: "Models/Phi3"),
    Plugin(folder: "Models/Qwen"),
    Plugin(folder: "Models/Qwen2"),
    Plugin(folder: "Models/Qwen2MoE"),
    Plugin(folder: "Models/Qwen3"),
    Plugin(folder: "Models/Qwen3MoE"),
    Plugin(folder: "Models/StarCoder2"),
    Plugin(folder: "Models/Whisper"),
    Plugin(folder: "Optimizers/Adafactor"),
    Plugin(folder: "Optimizers/Adagrad"),
    Plugin(folder: "Optimizers/AdamW"),
    Plugin(folder: "Optimizers/Lion"),
    Plugin(folder: "Optimizers/Muon"),
    Plugin(folder: "Optimizers/RMSprop"),
    Plugin(folder: "Optimizers/SGD"),
    Plugin(folder: "Quantizers/BitsAndBytes"),
    Plugin(folder: "Tokenizers/ByteLevelBPE", links: ["TokenizerCore"]),
    Plugin(folder: "Tokenizers/SentencePiece", links: ["TokenizerCore"]),
    Plugin(folder: "Tokenizers/Tiktoken", links: ["TokenizerCore"]),
    Plugin(folder: "Tokenizers/WordPiece", links: ["TokenizerCore"]),
    Plugin(folder: "Tuners/LoRA"),
]

// MARK: System libraries

func system(_ name: String, pkgConfig: String? = nil, apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/System/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let systemLibraries: [Target] = [
    .systemLibrary(name: "CLinux", path: "Sources/System/CLinux"),
    system("CPCRE2", pkgConfig: "libpcre2-8", apt: "libpcre2-dev"),
    system("CUTF8Proc", apt: "libutf8proc-dev"),
    // Opened when first used; the headers are of libssl-dev and libcurl4-openssl-dev.
    .target(name: "CCrypto", path: "Sources/System/CCrypto"),
    .target(name: "CCurl", path: "Sources/System/CCurl"),
    system("CFFI", pkgConfig: "libffi", apt: "libffi-dev"),
    system("CPNG", pkgConfig: "libpng", apt: "libpng-dev"),
    system("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
    system("CYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
    system("CSodium", pkgConfig: "libsodium", apt: "libsodium-dev"),
    system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    system("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
]

// MARK: The house

/// A room of the house: a Swift module under Sources/ that only the package itself imports.
func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)")
}

let rooms: [Target] = [
    .target(name: "PluginAPI", path: "Sources/PluginAPI"),
    .target(name: "Ceilings", path: "Sources/Bench/Ceilings"),
    .target(
        name: "Bench", dependencies: ["Ceilings", "Graph", "Host", "JSON", "Threads"], path: "Sources/Bench",
        exclude: ["Ceilings"]
    ),
    room("Console", ["Files", "JSON"]),
    room("Data", ["Files", "JSON", "PluginAPI", "PluginKit", "Random", "Streams", "Template", "Threads", "YAML"]),
    room("Conformance", ["CLinux", "Files", "Graph", "Host", "JSON", "PluginAPI", "PluginKit", "Random", "Threads"]),
    .target(name: "JSON", path: "Sources/JSON", linkerSettings: [.linkedLibrary("m")]),
    room(
        "Export",
        ["Data", "Files", "Graph", "JSON", "Model", "PluginKit", "Random", "Template", "TokenizerPatterns", "Training"]),
    room("Files"),
    room("Kinds", ["PluginAPI"]),
    room("Database", ["CSQLite"]),
    room("Foreign", ["CFFI", "Host", "JSON", "PluginAPI", "PluginKit"]),
    room("Graph", ["PluginAPI", "PluginKit", "Random"]),
    room(
        "Hub",
        ["CCrypto", "CCurl", "CZlib", "Database", "Files", "Host", "JSON", "PluginAPI", "PluginKit", "Template"]),
    room("Host", ["CLinux", "CSodium", "Files", "JSON", "Kinds", "PluginAPI", "PluginKit", "Random", "Threads"]),
    room("Model", ["Files", "Graph", "Host", "JSON", "PluginAPI", "PluginKit", "Random", "Template"]),
    room("PluginKit", ["PluginAPI", "JSON"]),
    room("Random"),
    room("Serving", ["Data", "Files", "JSON", "Model", "PluginAPI", "PluginKit", "Template"]),
    room("Streams", ["CZlib", "CZstd", "JSON", "PluginKit"]),
    room("Template", ["Files", "JSON"]),
    room("Threads", ["CLinux", "PluginAPI", "PluginKit"]),
    room(
        "Training",
        ["Data", "Database", "Files", "Graph", "Host", "JSON", "Model", "PluginAPI", "PluginKit", "Random"]),
    room("YAML", ["CYAML", "JSON"]),
    .executableTarget(
        name: "martlet",
        dependencies: [
            "Bench", "Conformance", "Console", "Data", "Export", "Files", "Foreign", "Graph", "Host", "Hub", "JSON",
            "Model",
            "PluginAPI",
            "PluginKit", "Serving", "Template", "Training", "YAML",
        ],
        path: "Sources/martlet"),
]

/// Targets that several plugins link statically.
let shared: [Target] = [
    .target(name: "CPUKernels", path: "Plugins/Devices/CPU/Kernels", linkerSettings: [.linkedLibrary("m")]),
    .target(
        name: "CheckpointSupport", dependencies: ["Files", "JSON", "PluginKit"], path: "Plugins/Checkpoints/Support"),
    .target(name: "HubSupport", dependencies: ["PluginKit"], path: "Plugins/Hubs/Support"),
    .target(
        name: "CRowCheck", path: "Plugins/Datasets/RowCheck/C", linkerSettings: [.linkedLibrary("simdjson")]),
    .target(
        name: "RowCheck", dependencies: ["CRowCheck", "JSON", "PluginKit", "Streams"],
        path: "Plugins/Datasets/RowCheck", exclude: ["C"]),
    .target(
        name: "TokenizerCore", dependencies: ["CPCRE2", "CUTF8Proc", "JSON", "PluginKit", "TokenizerPatterns"],
        path: "Plugins/Tokenizers/Core",
        swiftSettings: [.unsafeFlags(["-enable-testing"])]),
    .target(name: "TokenizerPatterns", path: "Plugins/Tokenizers/Patterns"),
    .executableTarget(
        name: "tokenizerbench", dependencies: ["TokenizerCore"], path: "Benchmarks/Tokenizers",
        exclude: ["compare.py", "Results.md"]),
    .executableTarget(
        name: "hostbench", dependencies: ["Host", "PluginAPI"], path: "Benchmarks/Host",
        exclude: ["startup.py", "Results.md"]),
    .executableTarget(
        name: "databench", dependencies: ["Data", "DatasetsJSONL", "JSON", "PluginAPI", "PluginKit", "Template"],
        path: "Benchmarks/Data", exclude: ["make_rows.py", "Results.md"],
        linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "muldefs"])]),
]

/// One test target a room, and one for each folder of Plugins/.
let tests: [Target] = [
    .testTarget(
        name: "ModelTests", dependencies: ["Files", "Graph", "Host", "JSON", "Model"], path: "Tests/ModelTests"),
    .testTarget(
        name: "TrainingTests", dependencies: ["Data", "Graph", "Host", "JSON", "Model", "Training"],
        path: "Tests/TrainingTests"),
    .testTarget(
        name: "CPUKernelTests", dependencies: ["CPUKernels"], path: "Tests/CPUKernelTests",
        exclude: ["Arm", "Goldens"]),
    .testTarget(
        name: "CheckpointsTests",
        dependencies: [
            "CheckpointSupport", "CheckpointsGGUF", "CheckpointsPyTorch", "CheckpointsSafetensors", "Files", "JSON",
            "PluginKit",
        ],
        path: "Tests/CheckpointsTests", exclude: ["Goldens"]),
    .testTarget(
        name: "DataTests",
        dependencies: [
            "Data", "DatasetsCSV", "DatasetsJSON", "DatasetsJSONL", "DatasetsText", "JSON", "PluginAPI", "PluginKit",
            "Template",
        ],
        path: "Tests/DataTests",
        linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "muldefs"])]),
    .testTarget(
        name: "DatasetsTests",
        dependencies: [
            "DatasetsCSV", "DatasetsJSON", "DatasetsJSONL", "DatasetsParquet", "DatasetsText", "JSON", "PluginKit",
            "Streams",
        ],
        path: "Tests/DatasetsTests", exclude: ["Goldens"],
        // Each plugin brings its own entry; the tests call the formats and not the entries.
        linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "muldefs"])]),
    .testTarget(name: "CommandTests", path: "Tests/CommandTests"),
    .testTarget(name: "ConsoleTests", dependencies: ["Console"], path: "Tests/ConsoleTests"),
    .testTarget(
        name: "EnginesTests", dependencies: ["EnginesNative", "JSON", "PluginKit"], path: "Tests/EnginesTests"),
    .target(name: "FuzzHooks", path: "Tests/Fuzz/Hooks"),
    .target(
        name: "FuzzKit",
        dependencies: [
            "Data", "Files", "Host", "JSON", "Model", "PluginAPI", "PluginKit", "Template", "YAML",
        ],
        path: "Tests/Fuzz/Kit"),
    .executableTarget(
        name: "fuzz", dependencies: ["Files", "FuzzHooks", "FuzzKit", "Graph", "Host"], path: "Tests/Fuzz/Run"),
    .testTarget(name: "FuzzTests", dependencies: ["FuzzKit", "Graph", "Host"], path: "Tests/FuzzTests"),
    .target(name: "GraphInC", dependencies: ["PluginAPI"], path: "Tests/GraphTests/C"),
    .testTarget(
        name: "GraphTests", dependencies: ["Graph", "GraphInC", "Host", "JSON", "PluginAPI", "PluginKit", "Threads"],
        path: "Tests/GraphTests", exclude: ["C"]),
    .testTarget(
        name: "ExportTests", dependencies: ["Data", "Export", "Files", "Graph", "Host", "JSON", "Model", "Training"],
        path: "Tests/ExportTests"),
    .testTarget(
        name: "HostTests", dependencies: ["Foreign", "Host", "JSON", "PluginAPI", "PluginKit", "Random", "Threads"],
        path: "Tests/HostTests"),
    .testTarget(
        name: "HubTests",
        dependencies: [
            "Files", "Host", "Hub", "HubsHuggingFace", "HubsLocal", "HubsModelScope", "HubsWheel", "JSON", "PluginKit",
            "Template",
        ],
        path: "Tests/HubTests", exclude: ["Goldens", "tunnel.py"],
        linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "muldefs"])]),
    .testTarget(name: "JSONTests", dependencies: ["JSON"], path: "Tests/JSONTests"),
    .testTarget(
        name: "QuantizersTests", dependencies: ["Host", "JSON", "Model", "PluginKit", "QuantizersBitsAndBytes"],
        path: "Tests/QuantizersTests"),
    .testTarget(
        name: "ServingTests",
        dependencies: ["Data", "Graph", "Host", "JSON", "Model", "PluginAPI", "PluginKit", "Serving"],
        path: "Tests/ServingTests"),
    .testTarget(
        name: "TemplateTests", dependencies: ["CZlib", "JSON", "Template"], path: "Tests/TemplateTests",
        exclude: ["Goldens"]),
    .testTarget(name: "ThreadsTests", dependencies: ["Threads"], path: "Tests/ThreadsTests"),
    .testTarget(
        name: "TokenizersTests", dependencies: ["CZlib", "Host", "JSON", "PluginAPI", "PluginKit", "TokenizerCore"],
        path: "Tests/TokenizersTests"),
    .testTarget(name: "YAMLTests", dependencies: ["JSON", "YAML"], path: "Tests/YAMLTests"),
]

// MARK: The package

/// A plugin shows its entry alone. A test that links a plugin's target inherits that, and would hide a sanitizer's runtime from the
/// libraries that it opens: with MARTLET_SANITIZE set everything stays visible.
let exports =
    Context.environment["MARTLET_SANITIZE"] == nil
    ? ["-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/PluginAPI/exports.map"] : []

let package = Package(
    name: "martlet",
    products: [.executable(name: "martlet", targets: ["martlet"])]
        + plugins.map { .library(name: $0.target, type: .dynamic, targets: [$0.target]) },
    targets: systemLibraries + rooms + shared + tests
        + plugins.map { plugin in
            .target(
                name: plugin.target, dependencies: ["PluginKit"] + plugin.links, path: "Plugins/\(plugin.folder)",
                exclude: ["plugin.json"] + plugin.exclude,
                swiftSettings: plugin.isTestable ? [.unsafeFlags(["-enable-testing"])] : [],
                linkerSettings: [
                    .unsafeFlags(exports + ["-Xlinker", "-z", "-Xlinker", "nodelete"])
                ])
        },
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11,
    cxxLanguageStandard: .cxx17
)
