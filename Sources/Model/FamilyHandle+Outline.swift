package import Graph

/// A model's linear sites and parameters, as its family states them.
package struct ModelOutline {
    package struct Site: Sendable {
        package let name: String
        package let weight: Parameter
    }
    package let sites: [Site]
    /// In the order in which the family names them, the head's last.
    package let parameters: [Parameter]
}

extension FamilyHandle {
    /// Builds the family's decoder once, for one token, in `graph`, to see which sites and parameters there are; and the parts
    /// that read images or sound, for one item.
    package func outline(in graph: Graph) throws -> ModelOutline {
        var sites: [ModelOutline.Site] = []
        graph.adaptLinear = { [unowned graph] site in
            if let weight = graph.parameter(site.weight) {
                sites.append(ModelOutline.Site(name: site.name, weight: weight))
            }
            return site.y
        }
        let main = shape.parts.contains("decoder") ? "decoder" : shape.parts.first ?? "decoder"
        _ = try build(main, in: graph, sample(graph, for: main))
        for part in shape.features.keys.sorted() where part != main && part != shape.context {
            _ = try build(part, in: graph, sample(graph, for: part))
        }
        if let head = shape.head {
            _ = try graph.parameter("/" + head, [shape.vocabulary, shape.hidden])
            if shape.headHasBias {
                _ = try graph.parameter("/" + head.replacingSuffix(".weight", ".bias"), [shape.vocabulary])
            }
        }
        let values = graph.parameters.values.sorted { $0.index < $1.index }
        return ModelOutline(sites: sites, parameters: values.compactMap { graph.parameter($0) })
    }

    /// What a configuration alone says: no checkpoint is read, and optional parameters are taken as absent.
    package func outline() throws -> ModelOutline {
        let graph = Graph()
        graph.resolveParameter = { name, shape, flags in
            flags.contains(.optional)
                ? nil : Parameter(name: name, shape: shape, isTransposed: flags.contains(.transposed))
        }
        return try outline(in: graph)
    }
}

extension Model {
    /// Whether the checkpoint has linear weights that could be quantized.
    package var hasUnquantizedSites: Bool {
        (try? outline().sites.contains { WeightStore.denseLayouts.contains($0.weight.layout) }) ?? false
    }
}
