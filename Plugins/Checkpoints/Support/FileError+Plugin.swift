import Files
import PluginKit

extension FileError {
    /// The same failure as it crosses the boundary.
    package var pluginError: PluginError {
        PluginError(.invalid, String(description.dropFirst(path.count + 2)), at: path)
    }
}

/// Runs `body` and gives its file error the boundary's form.
package func reporting<Value>(_ body: () throws(FileError) -> Value) throws(PluginError) -> Value {
    do {
        return try body()
    } catch {
        throw error.pluginError
    }
}
