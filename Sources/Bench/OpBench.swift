package import Graph
package import JSON

/// Times ops on a device, as graphs that go through the same planning and calls as a model's.
package final class OpBench {
    /// What was measured of one subject.
    package struct Row: Sendable {
        package let name: String
        package let shape: String
        /// Seconds of one run of the op.
        package let seconds: Double
        /// 1e9 bytes or operations a second; nil where time alone counts.
        package let rate: Double?
        package let ceiling: Ceiling?
        /// Medians and extremes of rate over ceiling.
        package let share: (median: Double, least: Double, most: Double)?

        package var json: JSON {
            var members: [(String, JSON)] = [
                ("op", .string(name)), ("shape", .string(shape)), ("seconds", .double(seconds)),
            ]
            if let rate { members.append(("rate", .double(rate))) }
            if let ceiling { members += [("unit", .string(ceiling.unit)), ("ceiling", .string(ceiling.rawValue))] }
            if let share {
                members.append(("share", .double(share.median)))
                members.append(("share_range", [.double(share.least), .double(share.most)]))
            }
            return .object(JSONObject(members))
        }
    }

    private let device: Device
    private let arena: SharedArena
    private static let repeats = 5
    /// Seconds that a repetition should last at least.
    private static let duration = 0.1

    package init(device: Device) {
        self.device = device
        arena = SharedArena(device: device)
    }

    /// Times one subject; nil when the device cannot hold its weights.
    package func run(_ subject: OpSubject) throws -> Row? {
        var random = FillerNumbers()
        let graph = Graph()
        let problem = try subject.build(graph)
        graph.settleLayouts()
        let program = try Program(graph, outputs: problem.outputs, device: device, arena: arena)
        var buffers: [Value: DeviceBuffer] = [:]
        for (index, source) in graph.sources {
            let value = Value(index)
            switch source {
            case .constant: continue
            case .parameter(let parameter):
                guard let weight = try random.weight(parameter, on: device) else { return nil }
                buffers[value] = weight
            case .input(let name):
                let type = graph.type(value)
                if let integers = problem.integers[name] {
                    buffers[value] = try device.upload(integers)
                } else {
                    buffers[value] = try random.values(type, on: device)
                }
            }
        }
        let work =
            subject.ceiling == .read && problem.work == 0
            ? Double(buffers.values.reduce(0) { $0 + $1.bytes }) : problem.work
        return try time(subject, work: work, count: problem.count) { try program.run { buffers[$0] } }
    }

    /// - Parameters:
    ///   - work: Bytes or operations of one call; 0 where time alone counts.
    ///   - count: Runs of the op in one call.
    private func time(_ subject: OpSubject, work: Double, count: Int, _ call: () throws -> Void) throws -> Row {
        var (times, rates, shares): ([Double], [Double], [Double]) = ([], [], [])
        var loops = 1
        for repetition in -1..<Self.repeats {
            let before = subject.ceiling?.measure()
            let start = Clock.now
            for _ in 0..<loops { try call() }
            let elapsed = Clock.now - start
            let after = subject.ceiling?.measure()
            if repetition < 0 {
                // The first call warms up memory and says how many make a measurement.
                let warm = Clock.now
                try call()
                loops = max(1, Int(Self.duration / max(1e-9, Clock.now - warm)))
                continue
            }
            times.append(elapsed / Double(loops * count))
            rates.append(work * Double(loops) / elapsed * 1e-9)
            if let before, let after { shares.append(2 * rates[rates.count - 1] / (before + after)) }
        }
        times.sort()
        rates.sort()
        shares.sort()
        let middle = Self.repeats / 2
        return Row(
            name: subject.name, shape: subject.shape, seconds: times[middle], rate: work > 0 ? rates[middle] : nil,
            ceiling: subject.ceiling,
            share: shares.isEmpty ? nil : (shares[middle], shares[0], shares[shares.count - 1]))
    }
}

/// Contents that no kernel gains from: the linear congruential generator of Numerical Recipes.
private struct FillerNumbers {
    private var state: UInt32 = 12345
    /// Leaves small exponents in every 16-bit field, and no byte that is no number in FP8.
    private static let small: UInt32 = 0xaf3f_efbf

    private mutating func next() -> UInt32 {
        state = state &* 1_664_525 &+ 1_013_904_223
        return state
    }

    mutating func values(_ type: ValueType, on device: Device) throws -> DeviceBuffer {
        if type.element == .f32 {
            return try device.upload((0..<type.count).map { _ in Float(Int32(bitPattern: next())) * 0x1p-31 })
        }
        let words = max(1, (type.byteCount + 3) / 4)
        return try device.upload((0..<words).map { _ in next() & Self.small })
    }

    /// A weight of any layout, whose numbers are what its bytes happen to say; nil when the device cannot hold it.
    mutating func weight(_ parameter: Parameter, on device: Device) throws -> DeviceBuffer? {
        guard device.weightSize(layout: parameter.layout, shape: parameter.shape) != nil,
            let size = StoredSize(layout: parameter.layout, shape: parameter.shape)
        else { return nil }
        let isFloat = parameter.layout == "f32"
        var words = (0..<(size.codes + 3) / 4).map { _ in
            isFloat ? (Float(Int32(bitPattern: next())) * 0x1p-31).bitPattern : next() & Self.small
        }
        words += (0..<size.numbers).map { _ in (0.01 + Float(next() >> 8) * 0x1p-31).bitPattern }
        return try words.withUnsafeMutableBytes { bytes in
            if parameter.layout == "mxfp4" {  // A block begins with its exponent.
                for block in stride(from: 0, to: size.codes, by: 17) { bytes[block] = 120 }
            }
            return try device.importWeight(
                name: parameter.name, layout: parameter.layout, shape: parameter.shape,
                parts: [UnsafeRawBufferPointer(rebasing: bytes[..<(size.codes + 4 * size.numbers)])])
        }
    }
}
