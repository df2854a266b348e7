// SPDX-License-Identifier: Apache-2.0
//
// What is said in the log about names, and how often: servers must not be able to fill it.

import BalancerCore
import Telemetry
import WireCore

/// Tells what happened to names.
struct NameNarrator {
    /// Lines of one kind at once; one more each second.
    static let burstCount = 50
    /// Backends written out in one line.
    static let targetsInLineMax = 8

    private let logger: Logger
    private var changes = LogRateLimiter(burstCount: burstCount, interval: .seconds(1))
    private var troubles = LogRateLimiter(burstCount: burstCount, interval: .seconds(1))

    init(_ logger: Logger) {
        self.logger = logger
    }

    mutating func say(_ event: NameEvent, now: Instant) {
        switch event.kind {
        case .firstAnswer(let count):
            change(.info, event.name, "stands for \(Self.backends(count))", now)
        case .changed(let added, let removed, let count):
            let text = "now stands for \(Self.backends(count))"
            change(.info, event.name, text, added: added, removed: removed, now)
        case .troubled(let trouble, let keptCount):
            let text = "not resolved: \(trouble.words), keeping \(Self.backends(keptCount))"
            self.trouble(.warning, event.name, text, now)
        case .emptied(let trouble):
            self.trouble(.warning, event.name, "stands for no backend: \(trouble.words)", now)
        case .recovered(let failures):
            let lookups = failures == 1 ? "1 failed lookup" : "\(failures) failed lookups"
            self.trouble(.info, event.name, "resolved again after \(lookups)", now)
        case .limited(let leftOutCount):
            self.trouble(.warning, event.name, "too many backends, \(leftOutCount) left out", now)
        case .refused:
            self.trouble(.error, event.name, "too many names, not asked for", now)
        }
    }

    mutating func resolverFailed(_ reason: String, now: Instant) {
        guard let held = troubles.admit(now: now) else { return }
        logger.error("no names can be asked for: \(reason)", ["held_back": String(held)])
    }

    private mutating func change(
        _ level: LogLevel, _ name: UpstreamName, _ text: String, added: [UpstreamTarget] = [],
        removed: [UpstreamTarget] = [], _ now: Instant
    ) {
        guard let held = changes.admit(now: now) else { return }
        let message = "[name \(name)] \(text)"
        switch (added.isEmpty && removed.isEmpty, held) {
        case (true, 0):
            logger.log(level, message)
        case (true, _):
            logger.log(level, message, ["held_back": String(held)])
        case (false, _):
            logger.log(
                level, message,
                [
                    "added": Self.list(added), "removed": Self.list(removed),
                    "held_back": String(held),
                ])
        }
    }

    private mutating func trouble(
        _ level: LogLevel, _ name: UpstreamName, _ text: String, _ now: Instant
    ) {
        guard let held = troubles.admit(now: now) else { return }
        logger.log(level, "[name \(name)] \(text)", ["held_back": String(held)])
    }

    private static func backends(_ count: Int) -> String {
        switch count {
        case 0: "no backend"
        case 1: "1 backend"
        default: "\(count) backends"
        }
    }

    private static func list(_ targets: [UpstreamTarget]) -> String {
        let shown = targets.prefix(targetsInLineMax).map(\.description).joined(separator: ",")
        let rest = targets.count - targetsInLineMax
        return rest > 0 ? "\(shown)+\(rest)" : shown
    }
}

extension NameTrouble {
    /// For people.
    fileprivate var words: String {
        switch self {
        case .noSuchName: "no such name"
        case .noRecords: "no addresses"
        case .noUsableRecords: "no usable addresses"
        case .failed(let failure):
            switch failure {
            case .timedOut: "no server answered in time"
            case .noServer: "no server can be reached or is willing to answer"
            case .serverFailure: "the servers report a failure"
            case .refused: "the servers refuse to answer"
            case .notUnderstood: "the servers do not understand the question"
            case .malformed: "the answer is malformed"
            case .badName: "the name is malformed"
            case .notAsked: "this node could not ask"
            case .cancelled: "cancelled"
            }
        }
    }
}
