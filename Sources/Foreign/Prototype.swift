/// A C function's prototype, as far as a function over rows needs it: numbers, texts and arrays of doubles.
package struct Prototype: Sendable, Equatable {
    package enum ValueType: Sendable, Equatable {
        case bool, int32, uint32, int64, uint64, float, double
        /// `const char *`, ended by NUL.
        case text
        /// `const double *`; the parameter behind it is its length.
        case doubles
    }
    package struct Parameter: Sendable, Equatable {
        package let name: String
        package let type: ValueType
        /// The number of elements of the array before it.
        package var isLength = false
    }
    package let name: String
    package let result: ValueType
    package let parameters: [Parameter]

    /// Why a text is no prototype that can be called.
    package struct Mismatch: Error {
        let message: String
        init(_ message: String) { self.message = message }
    }

    private static let parameterLimit = 32

    /// Reads a declaration such as `double overlap(const char *answer, const double *weights, size_t count);`
    package init(_ text: String) throws(Mismatch) {
        var tokens = try Self.tokens(text)[...]
        if tokens.last == ";" { tokens.removeLast() }
        guard let open = tokens.firstIndex(of: "("), tokens.last == ")", open < tokens.endIndex - 1 else {
            throw Mismatch("is no prototype; wanted one such as double f(const char *answer)")
        }
        let inner = tokens[(open + 1)..<(tokens.endIndex - 1)]
        let head = try Self.declaration(tokens[..<open], "the result")
        guard let name = head.name else { throw Mismatch("names no function") }
        guard let result = head.type, result != .text, result != .doubles else {
            throw Mismatch("\(name) returns no number; wanted int, long, bool, float or double")
        }
        var parameters: [Parameter] = []
        if inner != [], inner != ["void"] {
            for part in inner.split(separator: ",", omittingEmptySubsequences: false) {
                let place = "parameter \(parameters.count + 1)"
                let declared = try Self.declaration(part, place)
                guard let type = declared.type else { throw Mismatch("\(place) is void") }
                guard let name = declared.name else {
                    throw Mismatch("\(place) has no name; a row's field is found by it")
                }
                if parameters.contains(where: { $0.name == name }) {
                    throw Mismatch("two parameters are named \(name)")
                }
                let isLength = parameters.last?.type == .doubles
                if isLength, ![.int32, .uint32, .int64, .uint64].contains(type) {
                    throw Mismatch("\(name) follows an array, and is no integer for its length")
                }
                parameters.append(Parameter(name: name, type: type, isLength: isLength))
            }
        }
        if let last = parameters.last, last.type == .doubles {
            throw Mismatch("the array \(last.name) has no length; wanted an integer parameter behind it")
        }
        guard 1...Self.parameterLimit ~= parameters.count else {
            throw Mismatch("\(name) has \(parameters.count) parameters, wanted 1 to \(Self.parameterLimit)")
        }
        (self.name, self.result, self.parameters) = (name, result, parameters)
    }

    private static func tokens(_ text: String) throws(Mismatch) -> [String] {
        var tokens: [String] = []
        var word = ""
        func flush() {
            if !word.isEmpty { tokens.append(word) }
            word = ""
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_": word.unicodeScalars.append(scalar)
            case " ", "\t", "\n", "\r": flush()
            case "(", ")", ",", "*", ";", "[", "]":
                flush()
                tokens.append(String(scalar))
            default: throw Mismatch("holds \"\(scalar)\", which no C prototype of plain types has")
            }
        }
        flush()
        return tokens
    }

    /// One declaration: the words of its type, stars, and maybe a name. A type of nil is void.
    private static func declaration(
        _ tokens: ArraySlice<String>, _ place: String
    ) throws(Mismatch) -> (type: ValueType?, name: String?) {
        var words = tokens.filter { $0 != "extern" && $0 != "restrict" && $0 != "__restrict" }
        let isArray = words.suffix(2) == ["[", "]"]
        if isArray { words.removeLast(2) }
        let stars = words.count { $0 == "*" } + (isArray ? 1 : 0)
        let name = words.last.flatMap { typeWords.contains($0) || $0 == "*" ? nil : $0 }
        if name != nil { words.removeLast() }
        let isConstant = words.contains("const")
        let type = words.filter { $0 != "const" && $0 != "*" }.joined(separator: " ")
        guard stars > 0 else {
            if type == "void" { return (nil, name) }
            guard let known = numbers[type] else {
                throw Mismatch(
                    "\(place) has the type \"\(type)\"; known are \(numbers.keys.sorted().joined(separator: ", ")), const char * and const double *"
                )
            }
            return (known, name)
        }
        guard stars == 1, let known: ValueType = type == "char" ? .text : type == "double" ? .doubles : nil else {
            throw Mismatch(
                "\(place) is a pointer to \(type)\(stars > 1 ? " *" : ""); wanted const char * or const double *")
        }
        guard isConstant else { throw Mismatch("\(place) may be written to; wanted const \(type) *") }
        return (known, name)
    }

    private static let numbers: [String: ValueType] = [
        "bool": .bool, "_Bool": .bool, "int": .int32, "signed": .int32, "signed int": .int32, "int32_t": .int32,
        "unsigned": .uint32, "unsigned int": .uint32, "uint32_t": .uint32, "long": .int64, "long int": .int64,
        "long long": .int64, "int64_t": .int64, "ssize_t": .int64, "ptrdiff_t": .int64, "unsigned long": .uint64,
        "unsigned long long": .uint64, "uint64_t": .uint64, "size_t": .uint64, "float": .float, "double": .double,
    ]
    private static let typeWords = Set(numbers.keys.flatMap { $0.split(separator: " ").map(String.init) })
        .union(["const", "void", "char", "short", "struct"])
}
