// SPDX-License-Identifier: Apache-2.0
//
// From parsed YAML to the typed configuration. Collects every error and keeps going. The
// extensions: +Sections and +Scalars know shapes, the others know keys, the
// `...Check` files know rules that span several keys.

import WireCore

/// Reads one document.
public struct ConfigurationReader {
    /// A key of a mapping with its value.
    struct Field: Sendable {
        var name: String
        var keyRange: SourceRange
        var value: ConfigurationNode
    }

    /// A mapping with fixed keys, unknown and duplicate keys already reported.
    struct Section: Sendable {
        /// Its place in the key table.
        var path: String
        /// What messages call it; `nil` for the top level.
        var title: String?
        /// What a message about a missing key points at.
        var range: SourceRange
        var fields: [String: Field]
    }

    var diagnostics = DiagnosticList()
    var facts = ConfigurationFacts()

    private init() {}

    /// Reads the events of one document.
    public static func read(
        _ events: [ConfigurationEvent], node choice: LocalNodeChoice
    ) -> ConfigurationReading {
        var reader = ConfigurationReader()
        let configuration = reader.readDocument(events)
        let localNode = reader.localNode(choice)
        reader.check()
        let hasErrors = reader.diagnostics.hasErrors
        return ConfigurationReading(
            configuration: hasErrors ? nil : configuration, localNode: localNode,
            diagnostics: reader.diagnostics.sorted,
            secretFile: reader.facts.secretFile?.value,
            secretFileRange: reader.facts.secretFile?.range)
    }

    private mutating func readDocument(_ events: [ConfigurationEvent]) -> Configuration? {
        let start = SourceRange(at: .start)
        guard !events.isEmpty else {
            error(
                start, "the file has no configuration",
                suggestion: "write at least the keys listeners and pools")
            return nil
        }
        guard let root = ConfigurationNode.tree(from: events) else {
            error(start, "the document does not nest")
            return nil
        }
        if root.isNull {
            error(
                start, "the file has no configuration",
                suggestion: "write at least the keys listeners and pools")
            return nil
        }
        guard let top = open(root, path: "", title: nil, range: root.range) else { return nil }
        let workers = workers(in: top)
        let zone = name("zone", in: top)
        if let zone { facts.nodeZones.append(zone) }
        let pair = pair(in: top)
        let listeners = listeners(in: top)
        let pools = pools(in: top)
        let admin = admin(in: top)
        let timeouts = timeouts(in: top)
        let limits = limits(in: top)
        let accessLog = accessLog(in: top)
        let resolver = resolver(in: top)
        return Configuration(
            workers: workers, pair: pair, listeners: listeners, pools: pools, admin: admin,
            timeouts: timeouts, limits: limits, accessLog: accessLog, zone: zone?.value,
            resolver: resolver)
    }

    private mutating func check() {
        SocketCheck.run(facts, into: &diagnostics)
        PoolCheck.run(facts, into: &diagnostics)
        ZoneCheck.run(facts, into: &diagnostics)
        PairCheck.run(facts, into: &diagnostics)
        CarryOverCheck.run(facts, into: &diagnostics)
        TunnelSourceCheck.run(facts, into: &diagnostics)
        RouteCheck.run(facts, into: &diagnostics)
    }

    /// Adds a warning.
    mutating func warning(
        _ range: SourceRange, _ message: String, suggestion: String? = nil,
        notes: [Diagnostic.Note] = []
    ) {
        diagnostics.add(
            Diagnostic(.warning, range, message, suggestion: suggestion, notes: notes))
    }

    /// Adds an error.
    mutating func error(
        _ range: SourceRange, _ message: String, suggestion: String? = nil,
        notes: [Diagnostic.Note] = []
    ) {
        diagnostics.add(
            Diagnostic(.error, range, message, suggestion: suggestion, notes: notes))
    }
}
