// SPDX-License-Identifier: Apache-2.0
//
// The tree of a configuration document with the position of every part. Untyped: what a key
// means is the reader's business.

/// A value of the document.
struct ConfigurationNode: Hashable, Sendable {
    /// One key and its value.
    struct Entry: Hashable, Sendable {
        var key: ConfigurationNode
        var value: ConfigurationNode
    }

    /// What the value is.
    enum Content: Hashable, Sendable {
        case scalar(String, isPlain: Bool)
        case unusable
        case sequence([ConfigurationNode])
        case mapping([Entry])
    }

    /// Deeper documents are refused; far beyond any valid configuration.
    static let depthMax = 64

    var content: Content
    var range: SourceRange

    /// True for a value that was left out or written as `null` or `~`.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// True for `{}`.
    var isEmptyMapping: Bool { content == .mapping([]) }

    /// What the value is, in words.
    var kindText: String {
        switch content {
        case .scalar: isNull ? "nothing" : "a single value"
        case .unusable: "something unusable"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// Builds the tree; `nil` when there is no document or the events do not nest.
    static func tree(from events: [ConfigurationEvent]) -> ConfigurationNode? {
        var builder = ConfigurationTreeBuilder()
        for event in events {
            guard builder.add(event) else { return nil }
        }
        return builder.root
    }
}

/// Nests events without recursion.
private struct ConfigurationTreeBuilder {
    private struct Frame {
        var isMapping: Bool
        var range: SourceRange
        var children: [ConfigurationNode] = []
    }

    private(set) var root: ConfigurationNode?
    private var stack: [Frame] = []

    /// Takes one event; false when it cannot stand here.
    mutating func add(_ event: ConfigurationEvent) -> Bool {
        switch event.kind {
        case .scalar(let text, let isPlain):
            return append(.scalar(text, isPlain: isPlain), event.range)
        case .unusable:
            return append(.unusable, event.range)
        case .sequenceStart, .mappingStart:
            guard stack.count < ConfigurationNode.depthMax else { return false }
            let isMapping = event.kind == .mappingStart
            stack.append(Frame(isMapping: isMapping, range: event.range))
            return true
        case .sequenceEnd, .mappingEnd:
            return close(isMapping: event.kind == .mappingEnd)
        }
    }

    private mutating func close(isMapping: Bool) -> Bool {
        guard let frame = stack.popLast(), frame.isMapping == isMapping else { return false }
        guard isMapping else { return append(.sequence(frame.children), frame.range) }
        guard frame.children.count.isMultiple(of: 2) else { return false }
        let entries = stride(from: 0, to: frame.children.count, by: 2).map { index in
            ConfigurationNode.Entry(
                key: frame.children[index], value: frame.children[index + 1])
        }
        return append(.mapping(entries), frame.range)
    }

    private mutating func append(
        _ content: ConfigurationNode.Content, _ range: SourceRange
    ) -> Bool {
        let node = ConfigurationNode(content: content, range: range)
        if stack.isEmpty {
            guard root == nil else { return false }
            root = node
        } else {
            stack[stack.count - 1].children.append(node)
        }
        return true
    }
}
