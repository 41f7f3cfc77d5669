/// A column or group of the schema tree (parquet.thrift, SchemaElement; LogicalTypes.md).
final class SchemaNode {
    enum Repetition: Int { case required = 0, optional, repeated }
    enum Physical: Int {
        case boolean = 0, int32, int64, int96, float, double, byteArray, fixed
    }
    enum Meaning { case plain, text, list, map, unsigned, decimal(scale: Int) }

    let name: String
    let repetition: Repetition
    let physical: Physical?
    let typeLength: Int
    let meaning: Meaning
    /// Levels at which a value of this node is there, and at which it repeats.
    let definition: Int
    let level: Int
    fileprivate(set) var children: [SchemaNode] = []
    /// Numbers of the leaves below, in file order.
    fileprivate(set) var leaves: Range<Int> = 0..<0

    var isLeaf: Bool { physical != nil }

    fileprivate init(_ element: Thrift, under parent: SchemaNode?) throws {
        guard let name = element[4]?.text else { throw ParquetFlaw("damaged schema: a column without name") }
        self.name = name
        // The root has no repetition.
        let repetition = parent == nil ? .required : Repetition(rawValue: element[3]?.int ?? 0)
        guard let repetition else { throw ParquetFlaw("damaged schema: \"\(name)\" repeats in an unknown way") }
        self.repetition = repetition
        typeLength = element[2]?.int ?? 0
        if let type = element[1]?.int {
            guard let physical = Physical(rawValue: type) else {
                throw ParquetFlaw("unknown type: \(type) of \"\(name)\"")
            }
            self.physical = physical
        } else {
            physical = nil
        }
        definition = (parent?.definition ?? 0) + (repetition == .required ? 0 : 1)
        level = (parent?.level ?? 0) + (repetition == .repeated ? 1 : 0)
        let logical = element[10]
        switch element[6]?.int {
        case 0, 4, 19: meaning = .text
        case 1, 2: meaning = .map
        case 3: meaning = .list
        case 5: meaning = .decimal(scale: element[7]?.int ?? 0)
        case 11, 12, 13, 14: meaning = .unsigned
        default:
            if logical?[1] != nil || logical?[4] != nil || logical?[12] != nil {
                meaning = .text
            } else if logical?[2] != nil {
                meaning = .map
            } else if logical?[3] != nil {
                meaning = .list
            } else if logical?[10]?[2]?.bool == false {
                meaning = .unsigned
            } else {
                meaning = .plain
            }
        }
        if physical == .fixed, !(1...1 << 20).contains(typeLength) {
            throw ParquetFlaw("damaged schema: \"\(name)\" has values of \(typeLength) bytes")
        }
    }
}

/// The schema as a tree, and its leaves in file order.
struct ParquetSchema {
    let root: SchemaNode
    let leaves: [SchemaNode]
    private static let maximumDepth = 32

    init(_ elements: [Thrift]) throws {
        var at = 0
        var leaves: [SchemaNode] = []
        func read(_ parent: SchemaNode?, _ depth: Int) throws -> SchemaNode {
            guard at < elements.count, depth < Self.maximumDepth else {
                throw ParquetFlaw("damaged schema: \(depth < Self.maximumDepth ? "cut short" : "nested too deeply")")
            }
            let element = elements[at]
            at += 1
            let node = try SchemaNode(element, under: parent)
            let first = leaves.count
            if node.isLeaf {
                leaves.append(node)
            } else {
                for _ in 0..<max(0, min(element[5]?.int ?? 0, elements.count)) {
                    node.children.append(try read(node, depth + 1))
                }
                if node.children.isEmpty { throw ParquetFlaw("damaged schema: the group \"\(node.name)\" is empty") }
            }
            node.leaves = first..<leaves.count
            return node
        }
        root = try read(nil, 0)
        guard at == elements.count, !root.isLeaf else { throw ParquetFlaw("damaged schema: columns outside the root") }
        self.leaves = leaves
    }
}
