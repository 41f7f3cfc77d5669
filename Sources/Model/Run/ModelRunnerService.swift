package import Host
package import JSON
internal import PluginAPI
internal import PluginKit
import Synchronization

/// The service martlet.model-runner/1: runs models for engines.
package final class ModelRunnerService: @unchecked Sendable {
    private let components: any ComponentSource
    /// Models that are open already, by the number that stands for them in an engine's options. Engines ask whichever service
    /// was registered last, so all share them; who lends a model keeps it.
    private static let lent = Mutex<[Lent]>([])

    private struct Lent: @unchecked Sendable { weak var model: Model? }

    /// Registers the service; do it before an engine plugin is opened.
    package init(_ services: Services, components: any ComponentSource) {
        self.components = components
        services.register(MT_SERVICE_MODEL, table)
    }

    /// Lends an open model to engines.
    /// - Returns: What to put into an engine's options.
    package func lend(_ model: Model) -> JSON {
        let entry = Lent(model: model)
        let number = Self.lent.withLock { lent in
            lent.append(entry)
            return lent.count - 1
        }
        return ["model": .string(model.path), "open_model": .int(Int64(number))]
    }

    private func model(_ options: JSON) throws -> Model {
        if let number = options["open_model"]?.int {
            let entry = Self.lent.withLock { $0.indices.contains(number) ? $0[number] : nil }
            guard let model = entry?.model else {
                throw PluginError(.notFound, "no open model has the number \(number)", at: "open_model")
            }
            return model
        }
        guard let path = options["model"]?.string else {
            throw PluginError(.invalid, "the options name no model; wanted \"model\": a path", at: "options")
        }
        return try Model(path: path, components: components)
    }

    private static func description(_ runner: PagedRunner) throws -> JSON {
        let shape = runner.model.shape
        let memory = try runner.model.device.memory()
        return [
            "vocab_size": .int(Int64(shape.vocabulary)), "max_positions": .int(Int64(shape.maximumPositions)),
            "layers": .int(Int64(shape.attention.count)), "block_multiple": .int(Int64(PagedRunner.blockMultiple)),
            "cache_bytes_per_position": .int(Int64(runner.bytesPerPosition)),
            "window": .int(Int64(try runner.window())),
            "end_ids": .array(runner.model.endTokens.map { .int(Int64($0)) }),
            "memory_bytes": .int(Int64(memory.total)),
            "memory_free_bytes": .int(Int64(memory.total - memory.used)),
            "rope_growth": shape.ropeGrowth ?? .null,
        ]
    }

    private var table: mt_model_runner {
        var table = mt_model_runner()
        table.struct_size = UInt32(MemoryLayout<mt_model_runner>.size)
        table.ctx = Unmanaged.passRetained(self).toOpaque()
        table.open = { context, options, out, error in
            guarded(error) {
                let service = try Handle.context(context, as: ModelRunnerService.self)
                let options: JSON = options.size == 0 ? [:] : try JSON(parsing: options.bytes)
                out?.pointee = Handle.make(PagedRunner(try service.model(options)))
            }
        }
        table.close = { _, runner in Handle.release(runner, as: PagedRunner.self) }
        table.describe = { _, runner, out, error in
            guarded(error) {
                try out.put(try ModelRunnerService.description(try Handle.object(runner, as: PagedRunner.self)).text())
            }
        }
        table.reserve = { _, runner, blocks, blockSize, error in
            guarded(error) {
                try Handle.object(runner, as: PagedRunner.self).reserve(blocks: Int(blocks), blockSize: Int(blockSize))
            }
        }
        table.run = { _, runner, batch, logits, error in
            guarded(error) {
                guard let batch = batch?.pointee, Int(batch.struct_size) >= MemoryLayout<mt_batch>.size else {
                    throw PluginError(.invalid, "the batch is NULL or of an older form", at: "run")
                }
                logits?.pointee = try Handle.object(runner, as: PagedRunner.self).run(try StepRows(batch))
            }
        }
        return table
    }
}
