internal import PluginAPI
import PluginKit

/// Steps in the contract's form, with all that they point to.
final class ScheduleStorage {
    private var owned: [UnsafeMutableRawPointer] = []
    private(set) var steps: [mt_step] = []

    deinit { for pointer in owned { pointer.deallocate() } }

    private func store<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element>? {
        guard !elements.isEmpty else { return nil }
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: elements.count * MemoryLayout<Element>.stride,
            alignment: max(16, MemoryLayout<Element>.alignment))
        owned.append(memory)
        return memory.initializeMemory(as: Element.self, from: elements, count: elements.count)
    }

    private func store(_ text: String) -> mt_str {
        let bytes = store(Array(text.utf8))
        return mt_str(
            data: bytes.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }, size: text.utf8.count)
    }

    /// Adds a step; its places are set when the plan is known.
    func add(_ step: Step, graph: Graph, place: (Value) -> MemoryPlan.Place?) {
        var out = mt_step()
        out.struct_size = UInt32(MemoryLayout<mt_step>.size)
        out.op = store(step.op)
        out.name = store(step.name)
        let inputs = step.inputs.map { operand($0, graph, place) }
        let outputs = step.outputs.map { operand($0, graph, place) }
        out.input_count = UInt32(inputs.count)
        out.output_count = UInt32(outputs.count)
        out.inputs = UnsafePointer(store(inputs))
        out.outputs = UnsafePointer(store(outputs))
        let attributes = step.attributes.map(attribute)
        out.attr_count = UInt32(attributes.count)
        out.attrs = UnsafePointer(store(attributes))
        steps.append(out)
    }

    func setScratch(_ index: Int, _ place: MemoryPlan.Place, size: Int) {
        steps[index].scratch_slot = UInt32(place.slot)
        steps[index].scratch_offset = UInt64(place.offset)
        steps[index].scratch_size = UInt64(size)
    }

    private func operand(_ value: Value, _ graph: Graph, _ place: (Value) -> MemoryPlan.Place?) -> mt_operand {
        var out = mt_operand()
        out.struct_size = UInt32(MemoryLayout<mt_operand>.size)
        guard !value.isNone else {
            out.slot = MT_NO_SLOT
            return out
        }
        let type = graph.type(value)
        out.type = type.element.rawValue
        out.rank = UInt32(type.shape.count)
        withUnsafeMutableBytes(of: &out.dims) { dims in
            for (i, size) in type.shape.enumerated() {
                dims.storeBytes(of: Int64(size), toByteOffset: i * 8, as: Int64.self)
            }
        }
        if let parameter = graph.parameter(value) { out.layout = store(parameter.layout) }
        let at = place(value) ?? MemoryPlan.Place(slot: 0, offset: 0)
        out.slot = UInt32(at.slot)
        out.offset = UInt64(at.offset)
        return out
    }

    /// An attribute in the contract's form; valid as long as this object.
    func attribute(_ pair: (String, AttributeValue)) -> mt_attr {
        var out = mt_attr()
        out.name = store(pair.0)
        out.count = 1
        switch pair.1 {
        case .int(let value):
            out.type = UInt32(MT_ATTR_INT)
            out.value.i = Int64(value)
        case .bool(let value):
            out.type = UInt32(MT_ATTR_BOOL)
            out.value.i = value ? 1 : 0
        case .float(let value):
            out.type = UInt32(MT_ATTR_FLOAT)
            out.value.f = value
        case .string(let value):
            out.type = UInt32(MT_ATTR_STRING)
            out.value.s = store(value)
        case .ints(let values):
            out.type = UInt32(MT_ATTR_INTS)
            out.count = UInt32(values.count)
            out.value.ints = UnsafePointer(store(values.map(Int64.init)))
        case .floats(let values):
            out.type = UInt32(MT_ATTR_FLOATS)
            out.count = UInt32(values.count)
            out.value.floats = UnsafePointer(store(values))
        }
        return out
    }
}
