// SPDX-License-Identifier: Apache-2.0
//
// libyaml's event parser over bytes in memory. Owns libyaml's state and frees it on every path.

internal import CYAML

/// Parses YAML text into events.
public enum YAMLParser {
    /// Parses `bytes`, which must hold at most one document.
    ///
    /// Refused everywhere: aliases, anchors, tags and a second document.
    public static func parse(_ bytes: [UInt8], limits: YAMLLimits = YAMLLimits()) -> YAMLDocument {
        let start = YAMLMark(line: 1, column: 1)
        guard bytes.count <= limits.byteCountMax else {
            let reason = YAMLProblem.Reason.tooLarge(byteCountMax: limits.byteCountMax)
            let problem = YAMLProblem(reason: reason, start: start, end: start)
            return YAMLDocument(events: [], problems: [problem], isComplete: false)
        }
        // libyaml reports bad characters only by byte offset; found here they have a line.
        if let problem = YAMLCharacters.firstProblem(in: bytes) {
            return YAMLDocument(events: [], problems: [problem], isComplete: false)
        }
        let text =
            bytes.starts(with: YAMLCharacters.byteOrderMark) ? bytes.dropFirst(3) : bytes[...]
        // libyaml asserts that its input has an address.
        guard !text.isEmpty else {
            return YAMLDocument(events: [], problems: [], isComplete: true)
        }
        return text.withUnsafeBufferPointer { buffer in
            guard let handle = YAMLHandle(reading: buffer) else {
                let problem = YAMLProblem(reason: .outOfMemory, start: start, end: start)
                return YAMLDocument(events: [], problems: [problem], isComplete: false)
            }
            var collector = YAMLEventCollector(limits: limits)
            while collector.wantsMore { collector.step(handle) }
            return collector.document
        }
    }
}

/// The owner of one `yaml_parser_t`; must not outlive the bytes it reads.
struct YAMLHandle: ~Copyable {
    let parser: UnsafeMutablePointer<yaml_parser_t>

    /// Starts to read UTF-8; `nil` when there is no memory.
    init?(reading bytes: UnsafeBufferPointer<UInt8>) {
        parser = .allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            return nil
        }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// Hands the next event to `body` and frees it; `nil` when the text is no YAML.
    borrowing func withNextEvent<Result>(_ body: (borrowing yaml_event_t) -> Result) -> Result? {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { return nil }
        defer { yaml_event_delete(&event) }
        return body(event)
    }

    /// Why the last parse step failed.
    borrowing func syntaxProblem() -> YAMLProblem {
        let state = parser.pointee
        let words = state.problem.map { String(cString: $0) } ?? "unreadable"
        let place = YAMLMark(state.problem_mark)
        var problem = YAMLProblem(
            reason: state.error == YAML_MEMORY_ERROR ? .outOfMemory : .syntax(words),
            start: place, end: place)
        if let context = state.context {
            problem.context = YAMLProblem.Context(
                text: String(cString: context), start: YAMLMark(state.context_mark))
        }
        return problem
    }
}

extension YAMLMark {
    /// libyaml counts from 0.
    init(_ mark: yaml_mark_t) {
        line = Int(clamping: mark.line &+ 1)
        column = Int(clamping: mark.column &+ 1)
    }
}
