import Glibc
import JSON
import PluginKit

/// Event files that TensorBoard reads: one file a session, under `runs/` of the run's directory.
final class TensorBoard: Logger {
    private let file: UnsafeMutablePointer<FILE>
    private let path: String

    init(directory: String, run: String, configuration: JSON) throws {
        let folder = "\(directory)/runs"
        guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
            throw PluginError(.io, "cannot be made: \(String(cString: strerror(errno)))", at: folder)
        }
        var host = [CChar](repeating: 0, count: 256)
        gethostname(&host, host.count - 1)
        let name = host.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        // TensorBoard looks for "tfevents" in names, and sorts the files of a folder by them.
        path =
            "\(folder)/events.out.tfevents.\(Int(Self.now)).\(name.isEmpty ? "localhost" : name).\(getpid()).\(Self.nextFile())"
        guard let file = fopen(path, "wbe") else {
            throw PluginError(.io, "cannot be made: \(String(cString: strerror(errno)))", at: path)
        }
        self.file = file
        try append(EventRecord.version(time: Self.now))
        try append(EventRecord.text("args/text_summary", configuration.text(.pretty), time: Self.now))
    }

    deinit { fclose(file) }

    func event(_ record: JSON) throws {
        guard let members = record.object else { return }
        let scalars = members.compactMap { name, value -> (String, Float)? in
            guard name != "step", name != "time", let number = value.double else { return nil }
            return (name.hasPrefix("eval_") ? "eval/\(name.dropFirst(5))" : "train/\(name)", Float(number))
        }
        try append(
            EventRecord.scalars(scalars, step: record["step"]?.int ?? 0, time: record["time"]?.double ?? Self.now))
    }

    func flush() throws {
        guard fflush(file) == 0 else { throw PluginError(.io, String(cString: strerror(errno)), at: path) }
    }

    private func append(_ bytes: [UInt8]) throws {
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
            throw PluginError(.io, String(cString: strerror(errno)), at: path)
        }
    }

    private static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Tells the files of one process apart that are made within a second.
    private static func nextFile() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_nsec
    }
}
