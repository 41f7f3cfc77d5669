import Glibc
import Host
import PluginAPI

// Times what the host does at run time, in this process: opening a plugin, and calling through its tables.
// Usage: hostbench open ID        milliseconds from the registry's first look at the plugin to its components
//        hostbench call ID        nanoseconds of one call of `component_count` through the descriptor
// The plugins are those of MARTLET_PLUGINS_JSON, or those beside the program. startup.py runs both many times.

func nanoseconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) * 1e9 + Double(now.tv_nsec)
}

let words = CommandLine.arguments
guard words.count == 3 else {
    print("usage: hostbench open|call ID")
    exit(2)
}
do {
    let registry = Registry(try Installation.standard(extra: []))
    switch words[1] {
    case "open":
        let start = nanoseconds()
        let components = try registry.load(plugin: words[2])
        print((nanoseconds() - start) / 1e6, components.count)
    case "call":
        let record = try registry.record(words[2])
        let library = try Library(path: try registry.installation.library(of: record.manifest), plugin: words[2])
        let descriptor = try LoadedPlugin.checked(
            try library.descriptor(host: registry.services.handle, plugin: words[2]), record.manifest, .current)
        try LoadedPlugin.initialize(descriptor, registry.services.handle, words[2])
        let calls = 10_000_000
        var sum = 0
        let start = nanoseconds()
        for _ in 0..<calls { sum &+= descriptor.component_count(descriptor.ctx) }
        print((nanoseconds() - start) / Double(calls), sum / calls)
    default:
        print("usage: hostbench open|call ID")
        exit(2)
    }
} catch {
    print(error)
    exit(1)
}
