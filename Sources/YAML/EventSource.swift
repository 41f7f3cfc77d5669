import CYAML

/// libyaml's parser as a source of events. It owns the bytes, which the C side points into.
final class EventSource {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd, sequenceStart, sequenceEnd, mappingStart, mappingEnd
        case alias(String)
        /// A text, and whether it stands without quotes and tag.
        case scalar(String, isPlain: Bool)
    }

    struct Event {
        var kind: Kind
        var anchor: String?
        var line: Int
        var column: Int

        func error(_ message: String) -> YAMLError { YAMLError(message: message, line: line, column: column) }
    }

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>

    init(_ bytes: [UInt8]) throws(YAMLError) {
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        input = .allocate(capacity: bytes.count)
        _ = input.initialize(from: bytes)
        guard yaml_parser_initialize(parser) == 1 else {
            throw YAMLError(message: "no memory for the parser", line: 1, column: 1)
        }
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    func next() throws(YAMLError) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
            let problem = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
            let mark = parser.pointee.problem_mark
            throw YAMLError(message: problem, line: mark.line + 1, column: mark.column + 1)
        }
        defer { yaml_event_delete(&event) }
        func text(_ bytes: UnsafeMutablePointer<yaml_char_t>?) -> String? {
            bytes.map { String(cString: UnsafePointer($0)) }
        }
        var out = Event(
            kind: .streamEnd, line: event.start_mark.line + 1, column: event.start_mark.column + 1)
        switch event.type {
        case YAML_STREAM_START_EVENT: out.kind = .streamStart
        case YAML_DOCUMENT_START_EVENT: out.kind = .documentStart
        case YAML_DOCUMENT_END_EVENT: out.kind = .documentEnd
        case YAML_SEQUENCE_START_EVENT:
            out.kind = .sequenceStart
            out.anchor = text(event.data.sequence_start.anchor)
        case YAML_SEQUENCE_END_EVENT: out.kind = .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            out.kind = .mappingStart
            out.anchor = text(event.data.mapping_start.anchor)
        case YAML_MAPPING_END_EVENT: out.kind = .mappingEnd
        case YAML_ALIAS_EVENT: out.kind = .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let value = String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.tag == nil
            out.kind = .scalar(value, isPlain: isPlain)
            out.anchor = text(scalar.anchor)
        default: break
        }
        return out
    }
}
