/// A wheel's file name: NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl (PEP 427).
struct WheelName {
    let name: String
    let version: String
    private let platform: String

    init?(_ file: String) {
        guard file.hasSuffix(".whl") else { return nil }
        let parts = file.dropLast(4).split(separator: "-")
        guard parts.count == 5 || parts.count == 6 else { return nil }
        name = Self.normal(String(parts[0]))
        version = String(parts[1])
        platform = String(parts[parts.count - 1])
    }

    /// Lower case, runs of "-_." as one "-" (PEP 503); empty if `name` holds anything else.
    static func normal(_ name: String) -> String {
        var out = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "a"..."z", "0"..."9": out.unicodeScalars.append(scalar)
            case "A"..."Z": out.unicodeScalars.append(UnicodeScalar(UInt8(scalar.value + 32)))
            case "-", "_", ".": if !out.hasSuffix("-") { out += "-" }
            default: return ""
            }
        }
        return out
    }

    /// Whether it is for every machine or for this one. Which Python it is for does not matter: none is run.
    var fits: Bool {
        #if arch(x86_64)
            let machine = "x86_64"
        #else
            let machine = "aarch64"
        #endif
        return platform == "any" || platform.contains("linux") && platform.hasSuffix(machine)
    }

    /// By version, number by number; of one version the wheel for every machine is the newer.
    func isOlder(than other: WheelName) -> Bool {
        let (one, two) = (numbers, other.numbers)
        for i in 0..<max(one.count, two.count) {
            let (a, b) = (i < one.count ? one[i] : 0, i < two.count ? two[i] : 0)
            if a != b { return a < b }
        }
        return platform != "any" && other.platform == "any"
    }

    private var numbers: [Int] { version.split { !$0.isNumber }.map { Int($0) ?? 0 } }
}
