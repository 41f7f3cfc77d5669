import JSON
import PluginKit

/// Keeps rows whose answer ends a sentence: leaves out those that were cut off.
struct Ending: RowFunction {
    func judge(_ row: JSON) throws -> Double {
        let messages = row["messages"]?.array
        guard let answer = row["response"]?.string ?? row["output"]?.string ?? messages?.last?["content"]?.string else {
            throw PluginError(.invalid, "found no answer, wanted response, output or messages", at: "row")
        }
        guard let last = answer.last(where: { !$0.isWhitespace && !"\"')]}*`".contains($0) }) else { return 0 }
        return ".!?…。！？".contains(last) ? 1 : 0
    }
}
