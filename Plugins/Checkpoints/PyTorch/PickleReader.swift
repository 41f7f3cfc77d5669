import Files

/// Reads the pickle of a file of tensors with a fixed list of opcodes (Python's pickletools names and documents them).
///
/// This is no pickle machine: it imports nothing and calls nothing. What a file of tensors does not need is refused by
/// its name and place.
struct PickleReader {
    private var reader: ByteReader
    private var stack: [PickleValue] = []
    private var memo: [Int: PickleValue] = [:]
    /// Elements of every tuple, list and dictionary.
    private(set) var containers: [[PickleValue]] = []
    private var isDictionary: [Bool] = []
    private var held = 0
    /// Offset of the pickle in the file, for messages.
    private let base: Int

    static let maximumBytes = 64 << 20
    /// Values on the stack, in the memo and in containers together.
    static let maximumValues = 1 << 20
    static let maximumDimensions = 8

    init(_ bytes: UnsafeRawBufferPointer, path: String, base: Int) {
        reader = ByteReader(bytes, path: path)
        self.base = base
    }

    /// The value that the pickle describes.
    mutating func value() throws(FileError) -> PickleValue {
        while true {
            let at = reader.position
            let opcode = try reader.integer(UInt8.self, "opcode")
            if opcode == UInt8(ascii: ".") { return try pop(at) }
            try step(opcode, at)
            if stack.count + memo.count + held > Self.maximumValues {
                throw refusal(at, "more than \(Self.maximumValues) values", "a file of tensors")
            }
        }
    }

    /// Keys and values of a dictionary, or nil when `value` is none.
    func dictionary(_ value: PickleValue) -> [(key: PickleValue, value: PickleValue)]? {
        guard case .container(let index) = value, isDictionary[index] else { return nil }
        let items = containers[index]
        return stride(from: 0, to: items.count - 1, by: 2).map { (items[$0], items[$0 + 1]) }
    }

    private func refusal(_ at: Int, _ found: String, _ wanted: String, _ fix: String? = nil) -> FileError {
        FileError(reader.path, at: base + at, "pickle", found: found, wanted: wanted, fix: fix)
    }

    private mutating func step(_ opcode: UInt8, _ at: Int) throws(FileError) {
        switch UnicodeScalar(opcode) {
        case "\u{80}":
            let version = try reader.integer(UInt8.self, "pickle protocol")
            guard version <= 5 else { throw refusal(at, "protocol \(version)", "at most 5") }
        case "\u{95}": try reader.skip(8, "frame length")
        case "(": stack.append(.mark)
        case "N": stack.append(.none)
        case "\u{88}": stack.append(.bool(true))
        case "\u{89}": stack.append(.bool(false))
        case "J": stack.append(.int(Int(try reader.integer(Int32.self, "BININT"))))
        case "K": stack.append(.int(Int(try reader.integer(UInt8.self, "BININT1"))))
        case "M": stack.append(.int(Int(try reader.integer(UInt16.self, "BININT2"))))
        case "\u{8A}": stack.append(.int(try long(at)))
        case "G": stack.append(.float(Double(bitPattern: try reader.integer(UInt64.self, "BINFLOAT").byteSwapped)))
        case "X", "\u{8C}", "U", "T": stack.append(.text(try text(opcode, at)))
        case "}": push([], isDictionary: true)
        case "]", ")": push([], isDictionary: false)
        case "t": push(try popToMark(at), isDictionary: false)
        case "\u{85}", "\u{86}", "\u{87}":
            let count = Int(opcode) - 0x84
            guard stack.count >= count else { throw refusal(at, "an empty stack", "\(count) values") }
            let items = Array(stack.suffix(count))
            stack.removeLast(count)
            push(items, isDictionary: false)
        case "q": memo[Int(try reader.integer(UInt8.self, "BINPUT"))] = try top(at)
        case "r": memo[Int(try reader.integer(UInt32.self, "LONG_BINPUT"))] = try top(at)
        case "\u{94}": memo[memo.count] = try top(at)
        case "h": stack.append(try remembered(Int(try reader.integer(UInt8.self, "BINGET")), at))
        case "j": stack.append(try remembered(Int(try reader.integer(UInt32.self, "LONG_BINGET")), at))
        case "0": _ = try pop(at)
        case "s": try fill([try pop(at), try pop(at)].reversed(), dictionary: true, at)
        case "u": try fill(try popToMark(at), dictionary: true, at)
        case "a": try fill([try pop(at)], dictionary: false, at)
        case "e": try fill(try popToMark(at), dictionary: false, at)
        case "c": try global(at)
        case "\u{93}": try stackGlobal(at)
        case "Q": try persistent(at)
        case "R": try reduce(at)
        case "b":
            // The state of an OrderedDict ("_metadata": versions of modules) says nothing about tensors.
            _ = try pop(at)
            guard case .container = try top(at) else {
                throw refusal(at, "BUILD of \(try top(at).typeName)", "of an OrderedDict alone")
            }
        default:
            throw refusal(
                at, "the opcode \(String(opcode, radix: 16)) (hexadecimal)", "those of a dictionary of tensors",
                PyTorch.advice)
        }
    }

    private mutating func push(_ items: [PickleValue], isDictionary dictionary: Bool) {
        held += items.count + 1
        stack.append(.container(containers.count))
        containers.append(items)
        isDictionary.append(dictionary)
    }

    private func top(_ at: Int) throws(FileError) -> PickleValue {
        guard let value = stack.last else { throw refusal(at, "an empty stack", "a value") }
        if case .mark = value { throw refusal(at, "a mark", "a value") }
        return value
    }

    private mutating func pop(_ at: Int) throws(FileError) -> PickleValue {
        let value = try top(at)
        stack.removeLast()
        return value
    }

    private mutating func popToMark(_ at: Int) throws(FileError) -> [PickleValue] {
        let mark = stack.lastIndex {
            if case .mark = $0 { return true }
            return false
        }
        guard let mark else { throw refusal(at, "no mark on the stack", "one") }
        let items = Array(stack[(mark + 1)...])
        stack.removeSubrange(mark...)
        return items
    }

    private func remembered(_ index: Int, _ at: Int) throws(FileError) -> PickleValue {
        guard let value = memo[index] else { throw refusal(at, "no value \(index) in the memo", "one") }
        return value
    }

    private mutating func fill(_ items: [PickleValue], dictionary: Bool, _ at: Int) throws(FileError) {
        guard case .container(let index) = try top(at), isDictionary[index] == dictionary,
            !dictionary || items.count % 2 == 0
        else {
            throw refusal(
                at, "\(items.count) items for \(try top(at).typeName)", dictionary ? "a dictionary" : "a list")
        }
        held += items.count
        containers[index] += items
    }

    private mutating func long(_ at: Int) throws(FileError) -> Int {
        let size = Int(try reader.integer(UInt8.self, "LONG1 size"))
        let digits = try reader.take(size, "LONG1")
        guard size <= 8 else { throw refusal(at, "an integer of \(size) bytes", "at most 8") }
        var value: Int64 = (digits.last ?? 0) >= 0x80 ? -1 : 0
        for byte in digits.reversed() { value = value << 8 | Int64(byte) }
        return Int(value)
    }

    private mutating func text(_ opcode: UInt8, _ at: Int) throws(FileError) -> String {
        let isShort = opcode == UInt8(ascii: "U") || opcode == 0x8C
        let size =
            isShort
            ? Int(try reader.integer(UInt8.self, "text length")) : Int(try reader.integer(UInt32.self, "text length"))
        guard let text = String(validating: try reader.take(size, "text"), as: UTF8.self) else {
            throw refusal(at, "text that is no UTF-8", "UTF-8")
        }
        return text
    }

    /// GLOBAL: a module and a name, each to the end of its line.
    private mutating func global(_ at: Int) throws(FileError) {
        try push(module: try line(at), name: try line(at), at)
    }

    private mutating func line(_ at: Int) throws(FileError) -> String {
        var characters: [UInt8] = []
        while characters.count < 256 {
            let byte = try reader.integer(UInt8.self, "GLOBAL")
            if byte == 0x0A { return String(decoding: characters, as: UTF8.self) }
            characters.append(byte)
        }
        throw refusal(at, "a name over 256 bytes", "a global's name")
    }

    private mutating func stackGlobal(_ at: Int) throws(FileError) {
        let name = try pop(at)
        let module = try pop(at)
        guard case .text(let name) = name, case .text(let module) = module else {
            throw refusal(at, "\(module.typeName) and \(name.typeName)", "a global's module and name")
        }
        try push(module: module, name: name, at)
    }

    private mutating func push(module: String, name: String, _ at: Int) throws(FileError) {
        guard let global = PickleGlobal(module: module, name: name) else {
            throw refusal(
                at, "the global \(FileError.quote(module + "." + name))", "tensors and nothing else", PyTorch.advice)
        }
        stack.append(.global(global))
    }

    /// BINPERSID of ("storage", class, key, device, element count).
    private mutating func persistent(_ at: Int) throws(FileError) {
        guard case .container(let index) = try pop(at), containers[index].count == 5,
            case .text("storage") = containers[index][0], case .global(.storage(let layout)) = containers[index][1],
            case .text(let key) = containers[index][2], case .int(let count) = containers[index][4], count >= 0
        else { throw refusal(at, "another persistent object", "a storage: class, key, device, element count") }
        stack.append(.storage(PickleStorage(layout: layout, key: key, count: count)))
    }

    private mutating func reduce(_ at: Int) throws(FileError) {
        guard case .container(let index) = try pop(at), case .global(let global) = try pop(at) else {
            throw refusal(at, "a call of something else", "a known global with a tuple")
        }
        let arguments = containers[index]
        switch global {
        case .orderedDictionary:
            guard arguments.isEmpty else { throw refusal(at, "OrderedDict with arguments", "an empty one") }
            push([], isDictionary: true)
        case .rebuildParameter:
            guard case .tensor? = arguments.first else { throw refusal(at, "a parameter of no tensor", "a tensor") }
            stack.append(arguments[0])
        case .rebuildTensor: stack.append(.tensor(try tensor(arguments, at)))
        case .storage: throw refusal(at, "a call of a storage class", "a persistent storage")
        }
    }

    /// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks).
    private func tensor(_ arguments: [PickleValue], _ at: Int) throws(FileError) -> PickleTensor {
        guard arguments.count >= 4, case .storage(let storage) = arguments[0], case .int(let offset) = arguments[1],
            let shape = integers(arguments[2]), let strides = integers(arguments[3]), offset >= 0,
            shape.count == strides.count, let count = checkedProduct(shape),
            let end = checkedSum(offset, count), end <= storage.count
        else { throw refusal(at, "a tensor outside its storage", "storage, offset, size and stride that fit") }
        var stride = 1
        for (size, found) in zip(shape, strides).reversed() where count > 0 && size > 1 {
            guard found == stride else {
                throw refusal(
                    at, "strides \(strides) for the shape \(shape)", "rows one after the other",
                    "Call .contiguous() on the tensors before saving them.")
            }
            stride *= size
        }
        return PickleTensor(storage: storage, offset: offset, shape: shape)
    }

    private func integers(_ value: PickleValue) -> [Int]? {
        guard case .container(let index) = value, containers[index].count <= Self.maximumDimensions else { return nil }
        var out: [Int] = []
        for item in containers[index] {
            guard case .int(let number) = item, number >= 0 else { return nil }
            out.append(number)
        }
        return out
    }
}
