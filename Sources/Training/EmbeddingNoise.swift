internal import Data
import Graph
internal import Model

/// NEFTune (Jain et al. 2023, 2310.05914): in training, looked-up embeddings of a sequence of L tokens and width d get noise
/// evenly from ± alpha / √(L d). L is the sequence's own length, however it is batched or packed.
struct EmbeddingNoise {
    /// f32 [T, 1]: alpha / √L of each token's sequence.
    let magnitudes: Value
    private let alpha: Double

    /// Lets `graph` add noise to what is looked up by the ids of `sequence`.
    init(_ graph: Graph, _ sequence: SequenceInputs, tokens: Int, alpha: Double) {
        let magnitudes = graph.input("embedding_noise", ValueType([tokens, 1]))
        graph.adaptEmbedding = { [unowned graph] ids, rows in
            guard ids == sequence.ids, let width = graph.shape(rows).last else { return rows }
            let numbers = try graph.emit("uniform", [], [("shape", .ints(graph.shape(rows)))])[0]
            let centred = try graph.emit("add_scalar", [numbers], [("value", .float(-0.5))])[0]
            let even = try graph.emit("scale", [centred], [("factor", .float(2 / Double(max(1, width)).squareRoot()))])[
                0]
            return try graph.emit("add", [rows, graph.emit("mul", [even, magnitudes])[0]])[0]
        }
        self.magnitudes = magnitudes
        self.alpha = alpha
    }

    /// The magnitudes of a batch; 0 for the tokens that fill it up to `tokens`.
    func values(_ batch: Batch, tokens: Int) -> [Float] {
        var values: [Float] = []
        for (start, end) in zip(batch.segments, batch.segments.dropFirst()) where end > start {
            values += [Float](repeating: Float(alpha / Double(end - start).squareRoot()), count: Int(end - start))
        }
        return values + [Float](repeating: 0, count: max(0, tokens - values.count))
    }
}
