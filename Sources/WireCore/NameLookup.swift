// SPDX-License-Identifier: Apache-2.0
//
// How a question to the domain name system ended, as values.

/// Why a question got no answer that says anything about the name.
public enum NameLookupFailure: UInt8, Hashable, Sendable, CaseIterable {
    /// No server answered in time.
    case timedOut
    /// No server could be reached, or none was willing to answer.
    case noServer
    /// The servers said SERVFAIL.
    case serverFailure
    /// The servers said REFUSED.
    case refused
    /// The servers said NOTIMP or FORMERR.
    case notUnderstood
    /// The answer cannot be read.
    case malformed
    /// The name cannot be asked for.
    case badName
    /// This node could not ask: no memory, no descriptor, too many questions at once.
    case notAsked
    /// The resolver was stopped.
    case cancelled

    /// The stable word for logs and metrics.
    public var token: StaticString {
        switch self {
        case .timedOut: "timed_out"
        case .noServer: "no_server"
        case .serverFailure: "server_failure"
        case .refused: "refused"
        case .notUnderstood: "not_understood"
        case .malformed: "malformed"
        case .badName: "bad_name"
        case .notAsked: "not_asked"
        case .cancelled: "cancelled"
        }
    }
}

/// How one question ended.
public enum NameLookupOutcome<Record: Hashable & Sendable>: Hashable, Sendable {
    /// Records, at least one, valid for so long.
    case records([Record], ttl: TimeSpan)
    /// The name exists without records of this type (NODATA, RFC 2308 §2.2).
    case noRecords
    /// The name does not exist (NXDOMAIN, RFC 2308 §2.1).
    case noSuchName
    /// Nothing was learned.
    case failed(NameLookupFailure)
}

/// How the two questions for a host ended.
public struct HostLookup: Hashable, Sendable {
    /// The A question.
    public var v4: NameLookupOutcome<IPAddress>
    /// The AAAA question.
    public var v6: NameLookupOutcome<IPAddress>

    /// Joins both outcomes.
    public init(v4: NameLookupOutcome<IPAddress>, v6: NameLookupOutcome<IPAddress>) {
        self.v4 = v4
        self.v6 = v6
    }
}

/// One SRV record (RFC 2782).
public struct ServiceRecord: Hashable, Sendable {
    /// The host that offers the service, lower case, without the last dot.
    public var host: String
    /// Where it listens; never 0.
    public var port: UInt16
    /// Lower numbers first.
    public var priority: UInt16
    /// Share among records of one priority.
    public var weight: UInt16

    /// Makes a record.
    public init(host: String, port: UInt16, priority: UInt16, weight: UInt16) {
        self.host = host
        self.port = port
        self.priority = priority
        self.weight = weight
    }
}

extension ServiceRecord: Comparable {
    /// By priority, then by host, then by port.
    public static func < (left: ServiceRecord, right: ServiceRecord) -> Bool {
        (left.priority, left.host, left.port, left.weight)
            < (right.priority, right.host, right.port, right.weight)
    }
}
