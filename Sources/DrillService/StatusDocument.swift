// SPDX-License-Identifier: Apache-2.0
//
// What the status documents of the nodes say that a drill wants to know. Pure; whatever is missing
// stays unknown.

internal import Telemetry
internal import WireCore

/// A failover as the node that took over recorded it, by the wall clock.
struct FailoverTimestamps: Hashable, Sendable {
    var because: String?
    var detectedWallNanoseconds: UInt64
    var claimedWallNanoseconds: UInt64?
    var announcedWallNanoseconds: UInt64?
}

/// One node's status document.
struct StatusDocument: Hashable, Sendable {
    var node: String?
    var isActive = false
    var linkState: String?
    var failovers: [FailoverTimestamps] = []

    /// Reads a document; anything but an object is none.
    init?(_ document: JSONValue) {
        guard case .object = document else { return nil }
        node = document["node"]?.text
        isActive = document["role"]?.text == "active"
        linkState = document["link"]?["state"]?.text
        for router in document["virtual_routers"]?.elements ?? [] {
            if router["state"]?.text == "active" { isActive = true }
            guard let record = router["last_failover"],
                let detected = record["detected_wall_ns"]?.natural
            else { continue }
            failovers.append(
                FailoverTimestamps(
                    because: record["because"]?.text, detectedWallNanoseconds: detected,
                    claimedWallNanoseconds: record["claimed_wall_ns"]?.natural,
                    announcedWallNanoseconds: record["announced_wall_ns"]?.natural))
        }
    }

    /// Reads what a status command printed; text that is no JSON is no status.
    static func read(_ output: [UInt8]) -> [StatusDocument] {
        guard let documents = try? JSONReader.readAll(output) else { return [] }
        return documents.flatMap { document in
            // One array of documents is as good as documents in a row.
            document.elements.isEmpty ? [document] : document.elements
        }.compactMap { StatusDocument($0) }
    }
}

/// What all documents together say.
enum PairStatus {
    /// Clocks of one host differ by nothing, but a record may be dated a little before the fault
    /// command has printed its own time.
    static let tolerance = TimeSpan.milliseconds(5)

    /// True when every node sees its peer and exactly one holds the address.
    static func isPaired(_ nodes: [StatusDocument]) -> Bool {
        guard !nodes.isEmpty, nodes.allSatisfy({ $0.linkState == "up" }) else { return false }
        return nodes.count == 1 || nodes.count(where: \.isActive) == 1
    }

    /// The failover that the fault at this wall clock time caused, in spans.
    static func failover(
        in nodes: [StatusDocument], faultWallNanoseconds fault: UInt64
    ) -> FailoverTimes? {
        let earliest = (TimeSpan(nanoseconds: fault) - tolerance).nanoseconds
        let records = nodes.flatMap(\.failovers).filter {
            $0.detectedWallNanoseconds >= earliest
        }
        guard
            let record = records.min(by: {
                $0.detectedWallNanoseconds < $1.detectedWallNanoseconds
            })
        else { return nil }
        let detected = record.detectedWallNanoseconds
        var times = FailoverTimes(because: record.because)
        times.detect = span(fault, detected)
        times.claim = record.claimedWallNanoseconds.map { span(detected, $0) }
        if let claimed = record.claimedWallNanoseconds {
            times.announce = record.announcedWallNanoseconds.map { span(claimed, $0) }
        }
        return times
    }

    private static func span(_ from: UInt64, _ to: UInt64) -> TimeSpan {
        Instant(nanoseconds: to) - Instant(nanoseconds: from)
    }
}
