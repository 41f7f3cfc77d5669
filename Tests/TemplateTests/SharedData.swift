import CZlib
import Foundation
import JSON

/// Files that the tests read where they are: goldens of their own, and published templates kept outside the project.
enum SharedData {
    /// The folder of shared data, named by MARTLET_SHARED_DATA or found beside one of the folders above this file.
    static let folder: URL? = {
        if let path = ProcessInfo.processInfo.environment["MARTLET_SHARED_DATA"] { return URL(filePath: path) }
        var folder = URL(filePath: #filePath).deletingLastPathComponent()
        while folder.path != "/" {
            let candidate = folder.appending(path: "shared/data")
            if FileManager.default.fileExists(atPath: candidate.path) { return candidate }
            folder.deleteLastPathComponent()
        }
        return nil
    }()

    static var templates: URL? { folder?.appending(path: "templates") }

    static func golden(_ name: String) throws -> JSON {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens/\(name)")
        return try JSON(parsing: Array(Data(contentsOf: file)))
    }

    /// The contents of a gzip file.
    static func gunzip(_ file: URL) throws -> [UInt8] {
        struct Unreadable: Error {}
        guard let handle = gzopen(file.path, "rb") else { throw Unreadable() }
        defer { gzclose(handle) }
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = gzread(handle, &buffer, UInt32(buffer.count))
            if count < 0 { throw Unreadable() }
            if count == 0 { return out }
            out += buffer[..<Int(count)]
        }
    }
}
