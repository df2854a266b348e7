// SPDX-License-Identifier: Apache-2.0
//
// Verdicts between the nodes of a pair: as bytes, since whoever carries them need not know them.

internal import BalancerCore
public import WireCore

/// Something that this node found out about a backend.
struct BackendWord {
    let pool: String
    let backend: String
    let address: Endpoint
    let report: BackendReport
}

/// Something that the peer found out about a backend.
struct PeerWord {
    let pool: String
    let backend: String
    let address: String
    let report: BackendReport
}

/// What became of a word of the peer.
public enum PeerWordOutcome: Hashable, Sendable {
    /// It was taken in.
    case heard
    /// It is about a backend that this node does not have.
    case unknown
    /// It is this node's own of before a restart: this is true instead by now.
    case outdated(value: [UInt8])
    /// It means nothing to this version.
    case unreadable
}

extension HealthService {
    /// Tells `tell` what the peer has to know, as names and values, from now on.
    ///
    /// - Parameters:
    ///   - node: the name of this node.
    ///   - tell: called on the loop; the later value of a name replaces the earlier one.
    public func tellPeer(
        as node: String, _ tell: @escaping (_ key: [UInt8], _ value: [UInt8]) -> Void
    ) {
        setPeerPort { word in
            let subject: BackendKey.Subject =
                switch word.report {
                case .ejection: .ejection
                case .check(.liveness, _): .liveness
                case .check(.readiness, _): .readiness
                case .ramp: .ramp
                }
            let key = BackendKey(
                subject, pool: word.pool, backend: word.backend, address: word.address, node: node)
            tell(key.bytes, word.report.bytes)
        }
    }

    /// Takes in what the peer said so long ago.
    ///
    /// - Parameters:
    ///   - key: the name under which the peer said it.
    ///   - value: what it said.
    ///   - age: how long ago.
    ///   - node: the name of this node.
    /// - Returns: what became of it.
    public func hearPeer(
        _ key: [UInt8], _ value: [UInt8], age: TimeSpan, as node: String
    ) -> PeerWordOutcome {
        guard let key = BackendKey(key), let report = BackendReport(value, age: age) else {
            return .unreadable
        }
        // What this node found before it was started anew is found anew, or not.
        guard key.node != node else { return .outdated(value: key.subject.nothing.bytes) }
        let word = PeerWord(
            pool: key.pool, backend: key.backend, address: key.address, report: report)
        return hear(word) ? .heard : .unknown
    }
}

extension BackendKey.Subject {
    /// What is true of a backend that nothing was found out about.
    fileprivate var nothing: BackendReport {
        switch self {
        case .ejection:
            .ejection(EjectionReport(phase: .over, cause: .failedTrial, number: 0, age: .zero))
        case .liveness: .check(.liveness, nil)
        case .readiness: .check(.readiness, nil)
        case .ramp: .ramp(nil)
        }
    }
}
