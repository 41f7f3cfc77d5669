package import Graph
internal import PluginKit

extension Model {
    /// A parameter's values in f32, row-major as the family reads it, from any layout.
    package func values(of parameter: Parameter) throws -> [Float] {
        try weights.isDense(parameter.name) ? weights.floats(parameter) : decoded(parameter)
    }

    /// A parameter's values as products use them: decoded from the layout that it has in memory.
    package func valuesInUse(_ parameter: Parameter) throws -> [Float] {
        try WeightStore.denseLayouts.contains(parameter.layout) ? values(of: parameter) : decoded(parameter)
    }

    /// The values of a quantized matrix, decoded by the device, row by row as an embedding reads
    /// them: what comes out is what products with the weight use.
    package func decoded(_ parameter: Parameter) throws -> [Float] {
        guard parameter.shape.count == 2 else {
            throw ModelError(
                .unsupported,
                "\(parameter.shape) values of layout \(parameter.layout) cannot be decoded, only matrices can",
                at: parameter.name)
        }
        let (rows, columns) = (parameter.shape[0], parameter.shape[1])
        var values: [Float] = []
        values.reserveCapacity(rows * columns)
        let arena = SharedArena(device: device)
        // About 16 MiB at a time.
        let piece = max(1, min(rows, (4 << 20) / max(1, columns)))
        for start in stride(from: 0, to: rows, by: piece) {
            let count = min(piece, rows - start)
            let graph = Graph()
            graph.resolveParameter = { _, _, _ in parameter }
            let table = try graph.parameter("/" + parameter.name, parameter.shape)
            let ids = graph.input("ids", ValueType([count], .i32))
            let out = try graph.emit("embedding", [table, ids])[0]
            let program = try Program(graph, outputs: [out], device: device, arena: arena)
            let bound = [
                ids: try device.upload((start..<start + count).map(Int32.init)), table: try weights.buffer(parameter),
            ]
            try program.run { bound[$0] }
            values += try program.read(out, as: Float.self)
        }
        return values
    }
}
