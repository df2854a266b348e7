// SPDX-License-Identifier: Apache-2.0
//
// Turns libyaml's events into values, counts them and refuses what a configuration never needs.

internal import CYAML

/// Collects the events of one document.
struct YAMLEventCollector {
    private let limits: YAMLLimits
    private(set) var document = YAMLDocument(events: [], problems: [], isComplete: false)
    private(set) var wantsMore = true
    private var depth = 0
    private var nodeCount = 0
    private var documentCount = 0

    init(limits: YAMLLimits) {
        self.limits = limits
    }

    /// Takes one event from libyaml.
    mutating func step(_ handle: borrowing YAMLHandle) {
        let taken: Void? = handle.withNextEvent { event in
            take(event)
        }
        if taken == nil {
            document.problems.append(handle.syntaxProblem())
            wantsMore = false
        }
    }

    private mutating func take(_ event: borrowing yaml_event_t) {
        let start = YAMLMark(event.start_mark)
        let end = YAMLMark(event.end_mark)
        switch event.type {
        case YAML_DOCUMENT_START_EVENT:
            documentCount += 1
            if documentCount > 1 { stop(.secondDocument, start, end) }
        case YAML_SCALAR_EVENT:
            takeScalar(event, start, end)
        case YAML_ALIAS_EVENT:
            report(.alias, start, end)
            append(.unusable, start, end)
        case YAML_SEQUENCE_START_EVENT:
            let data = event.data.sequence_start
            open(.sequenceStart, anchor: data.anchor, tag: data.tag, start, end)
        case YAML_MAPPING_START_EVENT:
            let data = event.data.mapping_start
            open(.mappingStart, anchor: data.anchor, tag: data.tag, start, end)
        case YAML_SEQUENCE_END_EVENT:
            close(.sequenceEnd, start, end)
        case YAML_MAPPING_END_EVENT:
            close(.mappingEnd, start, end)
        case YAML_STREAM_END_EVENT:
            document.isComplete = true
            wantsMore = false
        default:
            // Stream start and document end say nothing about the content.
            break
        }
    }

    private mutating func takeScalar(
        _ event: borrowing yaml_event_t, _ start: YAMLMark, _ end: YAMLMark
    ) {
        let data = event.data.scalar
        let isMarked = refuse(anchor: data.anchor, tag: data.tag, start, end)
        let bytes = UnsafeBufferPointer(start: data.value, count: Int(clamping: data.length))
        let text = String(decoding: bytes, as: UTF8.self)
        let isPlain = data.style == YAML_PLAIN_SCALAR_STYLE
        append(isMarked ? .unusable : .scalar(text, isPlain: isPlain), start, end)
    }

    private mutating func open(
        _ kind: YAMLEvent.Kind, anchor: UnsafePointer<yaml_char_t>?,
        tag: UnsafePointer<yaml_char_t>?, _ start: YAMLMark, _ end: YAMLMark
    ) {
        _ = refuse(anchor: anchor, tag: tag, start, end)
        depth += 1
        guard depth <= limits.depthMax else {
            stop(.tooDeep(depthMax: limits.depthMax), start, end)
            return
        }
        append(kind, start, end)
    }

    private mutating func close(_ kind: YAMLEvent.Kind, _ start: YAMLMark, _ end: YAMLMark) {
        depth -= 1
        document.events.append(YAMLEvent(kind: kind, start: start, end: end))
    }

    private mutating func append(_ kind: YAMLEvent.Kind, _ start: YAMLMark, _ end: YAMLMark) {
        nodeCount += 1
        guard nodeCount <= limits.nodeCountMax else {
            stop(.tooManyNodes(nodeCountMax: limits.nodeCountMax), start, end)
            return
        }
        document.events.append(YAMLEvent(kind: kind, start: start, end: end))
    }

    /// Reports an anchor or a tag; true when there was one.
    private mutating func refuse(
        anchor: UnsafePointer<yaml_char_t>?, tag: UnsafePointer<yaml_char_t>?,
        _ start: YAMLMark, _ end: YAMLMark
    ) -> Bool {
        if anchor != nil { report(.anchor, start, end) }
        if tag != nil { report(.tag, start, end) }
        return anchor != nil || tag != nil
    }

    private mutating func report(
        _ reason: YAMLProblem.Reason, _ start: YAMLMark, _ end: YAMLMark
    ) {
        guard document.problems.count < limits.problemCountMax else { return }
        document.problems.append(YAMLProblem(reason: reason, start: start, end: end))
    }

    private mutating func stop(
        _ reason: YAMLProblem.Reason, _ start: YAMLMark, _ end: YAMLMark
    ) {
        document.problems.append(YAMLProblem(reason: reason, start: start, end: end))
        wantsMore = false
    }
}
