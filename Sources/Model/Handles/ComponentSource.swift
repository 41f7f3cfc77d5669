package import PluginAPI

/// Where components come from: the host's registry.
package protocol ComponentSource {
    /// The ids of a kind's components, best first.
    func componentIDs(kind: String) -> [String]
    /// The component, with its plugin opened.
    func component(kind: String, id: String) throws -> mt_component
}

extension ComponentSource {
    /// The component of `kind` that scores highest, and its score; nil when all score 0. A plugin that cannot be opened
    /// is passed over, and its error thrown only when no other serves.
    func best(kind: String, _ score: (mt_component) -> Int) throws -> (component: mt_component, score: Int)? {
        var best: (component: mt_component, score: Int)?
        var failure: (any Error)?
        for id in componentIDs(kind: kind) {
            do {
                let component = try self.component(kind: kind, id: id)
                let found = score(component)
                if found > (best?.score ?? 0) { best = (component, found) }
                if found >= 100 { break }
            } catch {
                failure = failure ?? error
            }
        }
        if best == nil, let failure { throw failure }
        return best
    }
}
