// SPDX-License-Identifier: Apache-2.0
//
// Putting another configuration in force: a file that is read again, names that moved, commands.

internal import AdminService
internal import ConfigurationCore
internal import ConfigurationService
internal import EventLoop
internal import HealthService
internal import LinuxIO
internal import NameService
internal import ProxyService
internal import Telemetry
internal import WireCore

extension Node {
    /// Reads the file again and puts it in force, or says why not.
    func reload() -> AdminReply {
        // A new listener would let clients in that the drain then waits for.
        guard !isLeaving else { return Self.refusal("this node is leaving\n") }
        switch ConfigurationLoader.reload(
            path: source.path, node: source.selection, current: loaded)
        {
        case .unchanged(let new):
            loaded = new
            reloads.unchangedCount += 1
            if let problem = reopenAccessLog() { return Self.refusal(problem) }
            return AdminReply("nothing changed")
        case .refused(let text):
            reloads.refusedCount += 1
            for line in text.split(separator: "\n") { logger.error("reload: \(line)") }
            // The log file may have been moved away all the same.
            _ = reopenAccessLog()
            return Self.refusal(text)
        case .applicable(let new, let difference):
            return apply(new, difference)
        }
    }

    private func apply(
        _ new: LoadedConfiguration, _ difference: ConfigurationDifference
    ) -> AdminReply {
        var newRoster = roster
        let dropped = newRoster.reload(new.configuration.pools)
        let hasSameAccessLog = new.configuration.accessLog == loaded.configuration.accessLog
        var configuration = new.configuration
        configuration.pools = newRoster.pools
        do {
            _ = try dataPlane?.apply(confided(configuration))
        } catch {
            reloads.refusedCount += 1
            for line in "\(error)".split(separator: "\n") { logger.error("reload: \(line)") }
            return Self.refusal("\(error)\n")
        }
        loaded = new
        roster = newRoster
        // Another one was opened just now; this one's file may have been moved away.
        if hasSameAccessLog { _ = reopenAccessLog() }
        // Before the backends are looked at again: what the other node had decided ends as well.
        tellPeerEnded(dropped)
        governBackends()
        for change in dropped {
            govern(change.name, RuntimeOverride())
            logger.info("reload: \(change)")
        }
        names?.resolve(new.configuration.upstreamNames, new.configuration.resolver)
        reloads.appliedCount += 1
        pairCommands?.post(
            .configurationChanged(
                hash: new.hash.rawValue, drain: new.configuration.timeouts.drain))
        return AdminReply(
            "applied: " + difference.changes.map { "\($0)" }.joined(separator: "; "))
    }

    /// Begins the access log's file anew, which log rotation asks for; returns why it cannot.
    private func reopenAccessLog() -> String? {
        do {
            try dataPlane?.reopenAccessLog()
            return nil
        } catch {
            logger.error("reload: \(error)")
            return "\(error)\n"
        }
    }

    private static func refusal(_ reason: String) -> AdminReply {
        AdminReply("failed: the old configuration stays in force\n\(reason)", isFailure: true)
    }

    /// The configuration with the backends that there are now.
    var effectiveConfiguration: Configuration {
        var configuration = loaded.configuration
        configuration.pools = roster.pools
        return confided(configuration)
    }

    /// What of a configuration may be told to a peer that has no secret to prove who it is.
    private func confided(_ configuration: Configuration) -> Configuration {
        configuration.confided(isAuthenticated: loaded.secret != nil)
    }

    /// Serves with the backends of the roster; false when that cannot be.
    func putBackendsInForce() -> Bool {
        do {
            _ = try dataPlane?.apply(effectiveConfiguration)
        } catch {
            for line in "\(error)".split(separator: "\n") { logger.error("backends: \(line)") }
            return false
        }
        governBackends()
        return true
    }

    /// Tells the checks which backends there are, and what commands changed about them.
    private func governBackends() {
        health?.apply(roster.pools)
        for name in roster.overrides.names { govern(name, roster.overrides[name]) }
        followPeer()
    }
}

/// How often the configuration was read again.
struct ReloadCounters {
    var appliedCount: UInt64 = 0
    var unchangedCount: UInt64 = 0
    var refusedCount: UInt64 = 0
}
