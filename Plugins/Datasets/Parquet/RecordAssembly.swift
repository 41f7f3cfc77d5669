import JSON

/// Puts records together from columns with levels (Melnik et al., "Dremel", VLDB 2010, section 4.3).
struct RecordAssembly {
    private let root: SchemaNode
    private let columns: [ColumnReader]

    init(_ root: SchemaNode, _ columns: [ColumnReader]) {
        self.root = root
        self.columns = columns
    }

    func next() throws -> JSON { try group(root) }

    private func group(_ node: SchemaNode) throws -> JSON {
        var members = JSONObject()
        for child in node.children { members[child.name] = try value(child) }
        return .object(members)
    }

    private func value(_ node: SchemaNode) throws -> JSON {
        if node.repetition == .required { return try content(node) }
        guard let levels = try columns[node.leaves.lowerBound].levels() else {
            throw ParquetFlaw("damaged page: column \"\(node.name)\" ends early")
        }
        if levels.definition < node.definition {
            // One entry in each leaf says that nothing is here.
            for leaf in node.leaves { _ = try columns[leaf].take() }
            return node.repetition == .repeated ? [] : .null
        }
        guard node.repetition == .repeated else { return try content(node) }
        var elements: [JSON] = []
        repeat {
            elements.append(try content(node))
        } while try columns[node.leaves.lowerBound].levels()?.repetition == node.level
        return .array(elements)
    }

    /// A value that is there, lists and maps without the groups that hold them.
    private func content(_ node: SchemaNode) throws -> JSON {
        if node.isLeaf { return try columns[node.leaves.lowerBound].take() }
        guard node.children.count == 1, let inner = node.children.first, inner.repetition == .repeated else {
            return try group(node)
        }
        switch node.meaning {
        case .list:
            let elements = try value(inner).array ?? []
            // LogicalTypes.md, backward compatibility: a repeated group of one field is a wrapper unless named so.
            guard inner.children.count == 1, inner.name != "array", inner.name != node.name + "_tuple",
                let name = inner.children.first?.name
            else { return .array(elements) }
            return .array(elements.map { $0[name] ?? .null })
        case .map:
            let pairs = try value(inner).array ?? []
            guard inner.children.count == 2 else { return .array(pairs) }
            var members = JSONObject()
            for pair in pairs {
                guard let key = pair[inner.children[0].name]?.string else { return .array(pairs) }
                members[key] = pair[inner.children[1].name] ?? .null
            }
            return .object(members)
        default: return try group(node)
        }
    }
}
