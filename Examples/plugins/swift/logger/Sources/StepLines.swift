import Glibc
import JSON
import PluginKit

/// A line a record in DIRECTORY/steplines.tsv: the step, the name of a number and the number, parted by tabs.
final class StepLines: Logger {
    private let file: UnsafeMutablePointer<FILE>
    private let path: String

    init(directory: String, run: String, configuration: JSON) throws {
        path = "\(directory)/steplines.tsv"
        guard let file = fopen(path, "ae") else {
            throw PluginError(.io, "cannot be opened: \(String(cString: strerror(errno)))", at: path)
        }
        self.file = file
    }

    deinit { fclose(file) }

    func event(_ record: JSON) throws {
        let step = record["step"]?.int ?? 0
        for (name, value) in record.object ?? JSONObject() where name != "step" && name != "time" {
            guard let number = value.double else { continue }
            guard fputs("\(step)\t\(name)\t\(number)\n", file) >= 0 else {
                throw PluginError(.io, "cannot be written: \(String(cString: strerror(errno)))", at: path)
            }
        }
    }

    func flush() throws {
        guard fflush(file) == 0 else {
            throw PluginError(.io, "cannot be flushed: \(String(cString: strerror(errno)))", at: path)
        }
    }
}
