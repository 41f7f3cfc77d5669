/// What the restricted unpickler can hold. Containers stand in the reader's table, so that no value owns another
/// and a file cannot make a cycle of objects.
enum PickleValue {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case text(String)
    case mark
    /// A tuple, list or dictionary (keys and values in turn) by its place in the table.
    case container(Int)
    /// One of the few globals that are known.
    case global(PickleGlobal)
    case storage(PickleStorage)
    case tensor(PickleTensor)

    var typeName: String {
        switch self {
        case .none: return "None"
        case .bool: return "a bool"
        case .int: return "an int"
        case .float: return "a float"
        case .text: return "a text"
        case .mark: return "a mark"
        case .container: return "a container"
        case .global(let global): return "the global \(global)"
        case .storage: return "a storage"
        case .tensor: return "a tensor"
        }
    }
}

/// The globals that a file of tensors needs. Nothing else is looked up, and none of these is ever called: the reader
/// knows what each would do.
enum PickleGlobal: Equatable {
    case orderedDictionary
    case rebuildTensor
    case rebuildParameter
    /// A storage class, by the layout of its elements.
    case storage(String)

    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDictionary
        case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
        case ("torch", _), ("torch.cuda", _):
            guard let layout = Self.storages[name] else { return nil }
            self = .storage(layout)
        default: return nil
        }
    }

    private static let storages = [
        "DoubleStorage": "f64", "FloatStorage": "f32", "HalfStorage": "f16", "BFloat16Storage": "bf16",
        "LongStorage": "i64", "IntStorage": "i32", "ShortStorage": "i16", "CharStorage": "i8", "ByteStorage": "u8",
        "BoolStorage": "bool", "ComplexFloatStorage": "c64", "ComplexDoubleStorage": "c128",
    ]
}

/// The bytes of one file "data/KEY" of the archive.
struct PickleStorage {
    let layout: String
    let key: String
    /// Elements.
    let count: Int
}

/// A view of a storage.
struct PickleTensor {
    let storage: PickleStorage
    /// Elements from the storage's start.
    let offset: Int
    let shape: [Int]
}
