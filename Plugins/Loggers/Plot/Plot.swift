import Glibc
import JSON
import PluginKit

/// Curves of everything that a run logs, in its `images` folder: one PNG and one SVG a metric.
final class Plot: Logger {
    private let folder: String
    private var curves: [String: [Chart.Point]] = [:]
    private var changed: Set<String> = []
    /// Points of a curve; beyond them every other one is left out.
    private static let limit = 4000

    init(directory: String, run: String, configuration: JSON) throws {
        folder = "\(directory)/images"
        guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
            throw PluginError(.io, "cannot be made: \(String(cString: strerror(errno)))", at: folder)
        }
    }

    func event(_ record: JSON) throws {
        guard let step = record["step"]?.int, let members = record.object else { return }
        for (name, value) in members where !["step", "time", "epoch"].contains(name) {
            guard let number = value.double else { continue }
            let curve = name.hasPrefix("eval_") ? name : "train_\(name)"
            curves[curve, default: []].append(Chart.Point(step: Double(step), value: number))
            if let points = curves[curve], points.count > Self.limit {
                curves[curve] = points.enumerated().compactMap { $0.offset % 2 == 0 ? $0.element : nil }
            }
            changed.insert(curve)
        }
    }

    func flush() throws {
        for name in changed.sorted() {
            guard let points = curves[name], points.count > 1 else { continue }
            let chart = Chart(name, points)
            let path = "\(folder)/\(String(name.map { $0 == "/" ? "_" : $0 }))"
            try replace("\(path).svg") { partial in
                let text = Array(chart.svg.utf8)
                guard let file = fopen(partial, "wbe") else {
                    throw PluginError(.io, String(cString: strerror(errno)), at: partial)
                }
                let written = fwrite(text, 1, text.count, file)
                guard fclose(file) == 0, written == text.count else {
                    throw PluginError(.io, String(cString: strerror(errno)), at: partial)
                }
            }
            try replace("\(path).png") { try chart.raster.write(png: $0) }
        }
        changed = []
    }

    /// Writes a file beside its name, so that a viewer never sees half of it.
    private func replace(_ path: String, _ write: (String) throws -> Void) throws {
        let partial = path + ".partial"
        try write(partial)
        guard rename(partial, path) == 0 else { throw PluginError(.io, String(cString: strerror(errno)), at: path) }
    }
}
