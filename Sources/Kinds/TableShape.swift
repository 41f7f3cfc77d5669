import PluginAPI

/// How a kind's table is laid out: a size word, a reserved word, then functions of 8 bytes.
package struct TableShape: Sendable {
    /// Bytes that this host's headers know.
    package let size: Int
    /// Byte offsets of functions that may be NULL.
    private let optional: Set<Int>

    /// The kinds of the contract, by interface id.
    package static let known: [String: TableShape] = [
        MT_KIND_ALIGNMENT: shape(mt_alignment_table.self, [\.metrics]),
        MT_KIND_BENCHMARK: shape(mt_benchmark_table.self, []),
        MT_KIND_CHECKPOINT: shape(mt_checkpoint_table.self, [\.create, \.write, \.finish, \.abandon]),
        MT_KIND_COLLECTIVE: shape(mt_collective_table.self, []),
        MT_KIND_DATASET: shape(mt_dataset_table.self, []),
        MT_KIND_DEVICE: shape(mt_device_table.self, []),
        MT_KIND_ENGINE: shape(mt_engine_table.self, []),
        MT_KIND_FILTER: shape(mt_row_table.self, []),
        MT_KIND_HUB: shape(mt_hub_table.self, []),
        MT_KIND_LOGGER: shape(mt_logger_table.self, []),
        MT_KIND_METRIC: shape(mt_row_table.self, []),
        MT_KIND_MODALITY: shape(mt_modality_table.self, []),
        MT_KIND_MODEL: shape(mt_model_table.self, [\.rename]),
        MT_KIND_OP: shape(mt_op_table.self, []),
        MT_KIND_OPTIMIZER: shape(mt_optimizer_table.self, []),
        MT_KIND_QUANTIZER: shape(mt_quantizer_table.self, []),
        MT_KIND_REWARD: shape(mt_row_table.self, []),
        MT_KIND_TOKENIZER: shape(mt_tokenizer_table.self, []),
        MT_KIND_TUNER: shape(mt_tuner_table.self, [\.initial]),
    ]

    private static func shape<Table>(_ type: Table.Type, _ optional: [PartialKeyPath<Table>]) -> TableShape {
        TableShape(
            size: MemoryLayout<Table>.size, optional: Set(optional.compactMap { MemoryLayout<Table>.offset(of: $0) }))
    }

    /// What is wrong with a plugin's table; nil when each function that its kind had from the first version on is there.
    /// - Parameter table: Of at least 8 bytes, which begin with their count.
    package func fault(_ table: UnsafeRawPointer) -> String? {
        let stated = Int(table.load(as: UInt32.self))
        if stated < 16 || stated > 65536 || stated % 8 != 0 { return "struct_size is \(stated), wanted \(size)" }
        for offset in stride(from: 8, to: min(size, stated), by: 8) where !optional.contains(offset) {
            if table.load(fromByteOffset: offset, as: UInt.self) == 0 {
                return "the function at byte \(offset) is NULL"
            }
        }
        return stated < size ? "struct_size is \(stated), and the first version has \(size) bytes" : nil
    }
}
