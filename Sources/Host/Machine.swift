import PluginAPI

/// What manifests are held against.
package struct Machine: Sendable {
    package var architecture: String
    package var swiftRuntime: String
    package var abiMinor: Int

    package static let abiMajor = Int(MT_ABI_MAJOR)

    package static let current = Machine(
        architecture: builtArchitecture, swiftRuntime: builtRuntime, abiMinor: Int(MT_ABI_MINOR))

    #if arch(x86_64)
        private static let builtArchitecture = "x86_64"
    #elseif arch(arm64)
        private static let builtArchitecture = "aarch64"
    #else
        private static let builtArchitecture = "riscv64"
    #endif

    // The runtime's binary interface on Linux is promised within one minor version only.
    #if compiler(>=6.4)
        private static let builtRuntime = "swift-6.4"
    #else
        private static let builtRuntime = "swift-6.3"
    #endif

    /// ELF's e_machine of an architecture (System V ABI, chapter 4).
    static func elfMachine(_ architecture: String) -> UInt16 {
        switch architecture {
        case "x86_64": return 62
        case "aarch64": return 183
        default: return 243
        }
    }

    static func name(ofELFMachine machine: UInt16) -> String {
        switch machine {
        case 62: return "x86_64"
        case 183: return "aarch64"
        case 243: return "riscv64"
        case 3: return "i386"
        case 40: return "arm"
        default: return "machine \(machine)"
        }
    }
}
