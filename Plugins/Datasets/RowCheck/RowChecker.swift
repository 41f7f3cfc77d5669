import JSON
import PluginKit
import CRowCheck
import Streams

/// Tells whether bytes are one JSON object that can be a row.
package final class RowChecker {
    private let handle: OpaquePointer

    package init() throws {
        guard let handle = row_check_create(JSON.ParseOptions().maximumDepth) else {
            throw PluginError(.outOfMemory, "no memory for the JSON checker")
        }
        self.handle = handle
    }

    deinit { row_check_destroy(handle) }

    /// - Parameter bytes: `ByteWindow.padding` readable bytes stand behind them.
    /// - Throws: `DamagedRow` with the cause when they are no object, or name a member twice.
    package func check(_ bytes: UnsafeBufferPointer<UInt8>, at place: @autoclosure () -> String) throws {
        let result = bytes.withMemoryRebound(to: CChar.self) { row_check_run(handle, $0.baseAddress, $0.count) }
        if result == Int32(ROW_CHECK_OBJECT.rawValue) { return }
        // The JSON module says what and where, and accepts the NaN and Infinity that Python writes.
        var options = JSON.ParseOptions()
        options.rejectsDuplicateKeys = true
        do {
            let value = try JSON(parsing: bytes, options: options)
            if value.object != nil { return }
            throw DamagedRow("not an object: found a JSON \(value.typeName)", at: place(), text: bytes)
        } catch let error as JSONError {
            let kind = result == Int32(ROW_CHECK_DUPLICATE_KEY.rawValue) ? "duplicate key" : "not valid JSON"
            throw DamagedRow("\(kind): column \(error.column): \(error.message)", at: place(), text: bytes)
        }
    }
}
