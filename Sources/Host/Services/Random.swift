import PluginAPI
import Random

extension Philox {
    /// The service "random" that plugins are lent.
    static var table: mt_random {
        var table = mt_random()
        table.struct_size = UInt32(MemoryLayout<mt_random>.size)
        table.block = { _, seed, stream, counter, out in
            guard let out else { return }
            (out[0], out[1], out[2], out[3]) = Philox.block(seed: seed, stream: stream, counter: counter)
        }
        return table
    }
}
