import CFFI
import Glibc
import Host
import JSON
import PluginKit

/// A function of a plain shared library, called with values of a row through libffi.
package final class ForeignFunction: @unchecked Sendable {
    private let entry: ForeignEntry
    private let prototype: Prototype
    private let address: UnsafeMutableRawPointer
    /// What libffi makes of the prototype; both live as long as this object, which lives as long as the process.
    private let call = UnsafeMutablePointer<ffi_cif>.allocate(capacity: 1)
    private let types: UnsafeMutablePointer<UnsafeMutablePointer<ffi_type>?>
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    /// Links the library and holds the prototype against what can be known of it: that the symbol is there and is a function.
    /// A library does not say what types a C function takes; that much is the word of plugins.json.
    package init(_ entry: ForeignEntry, library path: String) throws(HostError) {
        func wrong(_ code: HostError.Code, _ field: String, _ message: String, _ fix: String) -> HostError {
            HostError(code, "\(entry.place).\(field)", message, fix: fix)
        }
        let prototype: Prototype
        do throws(Prototype.Mismatch) {
            prototype = try Prototype(entry.prototype)
        } catch {
            throw wrong(
                .installation, "function", "\"\(entry.prototype)\" \(error.message)",
                "write it as in the library's header")
        }
        let names = prototype.parameters.map(\.name)
        for (field, given) in [
            ("arguments", entry.arguments.keys.sorted()), ("constants", entry.constants.keys.sorted()),
        ] {
            for name in given where !names.contains(name) {
                throw wrong(
                    .installation, "\(field).\(name)", "\(prototype.name) has no parameter \(name)",
                    nearest(name, in: names).map { "did you mean \($0)?" }
                        ?? "its parameters are \(names.joined(separator: ", "))")
            }
            for parameter in prototype.parameters where parameter.isLength && given.contains(parameter.name) {
                throw wrong(
                    .installation, "\(field).\(parameter.name)", "is the length of the array before it", "remove it")
            }
        }
        try ELFHeader.check(path, plugin: entry.plugin, architecture: Machine.current.architecture)
        let exports = try ELFHeader.exports(path)
        guard let symbol = exports.first(where: { $0.name == prototype.name }) else {
            let mangled = exports.contains { $0.name.hasPrefix("_Z\(prototype.name.utf8.count)\(prototype.name)") }
            throw HostError(
                .entry, entry.plugin, "\(path) does not export \(prototype.name)",
                fix: mangled
                    ? "it has a C++ function of that name: declare it extern \"C\""
                    : nearest(prototype.name, in: exports.map(\.name)).map { "did you mean \($0)?" }
                        ?? "nm -D lists what it exports")
        }
        guard symbol.isFunction else {
            throw HostError(
                .entry, entry.plugin, "\(prototype.name) in \(path) is data and no function", fix: "name a function")
        }
        guard let address = try Library(path: path, plugin: entry.plugin).symbol(prototype.name) else {
            throw HostError(.entry, entry.plugin, "\(prototype.name) in \(path) cannot be found by the linker")
        }
        (self.entry, self.prototype, self.address) = (entry, prototype, address)
        let count = prototype.parameters.count
        types = .allocate(capacity: count)
        for (i, parameter) in prototype.parameters.enumerated() {
            (types + i).initialize(to: parameter.type.description)
        }
        pthread_mutex_init(mutex, nil)
        guard martlet_ffi_prepare(call, UInt32(count), prototype.result.description, types) == 0 else {
            throw wrong(.installation, "function", "libffi cannot call \(entry.prototype)", "use plainer types")
        }
        for (name, value) in entry.constants {
            guard let parameter = prototype.parameters.first(where: { $0.name == name }) else { continue }
            do {
                _ = try Argument(value, parameter, at: "constants.\(name)")
            } catch {
                throw wrong(.installation, "constants.\(name)", "\(error)", "correct the value")
            }
        }
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        types.deallocate()
        call.deallocate()
    }

    /// Calls the function with a row's values.
    package func judge(_ row: JSON) throws -> Double {
        var arguments: [Argument] = []
        for parameter in prototype.parameters {
            if parameter.isLength {
                arguments.append(try Argument(.int(Int64(arguments.last?.count ?? 0)), parameter, at: parameter.name))
                continue
            }
            let path = entry.arguments[parameter.name] ?? parameter.name
            guard let value = entry.constants[parameter.name] ?? row.value(at: path), !value.isNull else {
                throw PluginError(
                    .invalid, "the row has no \(path), which \(prototype.name) wants as \(parameter.name)", at: path)
            }
            arguments.append(try Argument(value, parameter, at: path))
        }
        let result = run(arguments)
        guard result.isFinite else {
            throw PluginError(.error, "\(prototype.name) gave \(result), wanted a finite number")
        }
        return result
    }

    private func run(_ arguments: [Argument]) -> Double {
        // libffi widens integers to a register; 16 bytes hold any result.
        let result = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
        defer { result.deallocate() }
        result.initializeMemory(as: UInt8.self, repeating: 0, count: 16)
        if !entry.isThreadSafe { pthread_mutex_lock(mutex) }
        defer { if !entry.isThreadSafe { pthread_mutex_unlock(mutex) } }
        withExtendedLifetime(arguments) {
            var places: [UnsafeMutableRawPointer?] = arguments.map(\.storage)
            martlet_ffi_call(call, address, result, &places)
        }
        switch prototype.result {
        case .bool: return result.load(as: UInt8.self) != 0 ? 1 : 0
        case .int32: return Double(result.load(as: Int32.self))
        case .uint32: return Double(result.load(as: UInt32.self))
        case .uint64: return Double(result.load(as: UInt64.self))
        case .float: return Double(result.load(as: Float.self))
        case .double: return result.load(as: Double.self)
        case .int64, .text, .doubles: return Double(result.load(as: Int64.self))
        }
    }
}

/// One argument of a call: the value, and for texts and arrays the memory that it points to.
private final class Argument {
    /// What libffi reads the argument from.
    let storage = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
    /// Elements of an array.
    private(set) var count = 0
    private var memory: UnsafeMutableRawPointer?

    init(_ value: JSON, _ parameter: Prototype.Parameter, at place: String) throws {
        storage.initializeMemory(as: UInt64.self, repeating: 0, count: 1)
        func wrong(_ wanted: String) -> PluginError {
            PluginError(
                .invalid, "\(place) is \(value.text().prefix(60)), wanted \(wanted) for \(parameter.name)", at: place)
        }
        func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws {
            guard let whole = value.int ?? value.bool.map({ $0 ? 1 : 0 }), let exact = Integer(exactly: whole) else {
                throw wrong("an integer from \(Integer.min) to \(Integer.max)")
            }
            storage.storeBytes(of: exact, as: Integer.self)
        }
        func number() throws -> Double {
            guard let number = value.double else { throw wrong("a number") }
            return number
        }
        switch parameter.type {
        case .bool:
            guard let truth = value.bool else { throw wrong("true or false") }
            storage.storeBytes(of: truth ? 1 : 0, as: UInt8.self)
        case .int32: try integer(Int32.self)
        case .uint32: try integer(UInt32.self)
        case .int64: try integer(Int64.self)
        case .uint64: try integer(UInt64.self)
        case .float: storage.storeBytes(of: Float(try number()), as: Float.self)
        case .double: storage.storeBytes(of: try number(), as: Double.self)
        case .text:
            // A list of messages, say, goes as its JSON text.
            guard let text = value.string ?? (value.array != nil || value.object != nil ? value.text() : nil) else {
                throw wrong("a text")
            }
            guard !text.utf8.contains(0) else { throw wrong("a text without NUL") }
            point(to: Array(text.utf8) + [0])
        case .doubles:
            guard let list = value.array else { throw wrong("an array of numbers") }
            let numbers = try list.map { element in
                guard let number = element.double else { throw wrong("an array of numbers") }
                return number
            }
            count = numbers.count
            point(to: numbers)
        }
    }

    private func point<Element: BitwiseCopyable>(to elements: [Element]) {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: max(elements.count, 1) * MemoryLayout<Element>.stride, alignment: 16)
        elements.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress { memory.copyMemory(from: start, byteCount: bytes.count) }
        }
        self.memory = memory
        storage.storeBytes(of: memory, as: UnsafeMutableRawPointer.self)
    }

    deinit {
        memory?.deallocate()
        storage.deallocate()
    }
}

extension Prototype.ValueType {
    /// libffi's description of the type.
    fileprivate var description: UnsafeMutablePointer<ffi_type>? {
        switch self {
        case .bool: return martlet_ffi_uint8()
        case .int32: return martlet_ffi_sint32()
        case .uint32: return martlet_ffi_uint32()
        case .int64: return martlet_ffi_sint64()
        case .uint64: return martlet_ffi_uint64()
        case .float: return martlet_ffi_float()
        case .double: return martlet_ffi_double()
        case .text, .doubles: return martlet_ffi_pointer()
        }
    }
}
