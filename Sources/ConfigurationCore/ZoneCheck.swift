// SPDX-License-Identifier: Apache-2.0
//
// The rules between the zones of nodes and backends.

/// Finds zones that no node will ever prefer because of how they are written.
enum ZoneCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        guard let first = facts.backendZones.first else { return }
        let known = facts.nodeZones.map(\.value)
        guard !known.isEmpty else {
            diagnostics.add(
                Diagnostic(
                    .warning, first.range,
                    "backends have zones, but no node has one, so none is preferred",
                    suggestion: "add zone: \(first.value) to the nodes of the pair, or at the top"))
            return
        }
        var seen = Set(known)
        for zone in facts.backendZones where seen.insert(zone.value).inserted {
            guard let nearest = Suggestion.nearest(to: zone.value, in: known),
                !areSiblings(zone.value, nearest)
            else { continue }
            diagnostics.add(
                Diagnostic(
                    .warning, zone.range, "no node is in zone \(Quoted.text(zone.value))",
                    suggestion: "did you mean \"\(nearest)\"?"))
        }
    }

    /// True for names such as `az1` and `az3` or `west-1a` and `west-1c`: a zone may well have
    /// backends and no node.
    private static func areSiblings(_ one: String, _ other: String) -> Bool {
        stem(one) == stem(other)
    }

    private static func stem(_ zone: String) -> ArraySlice<UInt8> {
        zone.utf8.filter { !(0x30...0x39).contains($0) }.dropLast()
    }
}
