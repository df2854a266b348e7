// SPDX-License-Identifier: Apache-2.0
//
// The rules between the keys of one pool: what has no effect, what contradicts itself.

import WireCore

/// Points out keys of a pool that do not go together.
enum PoolReview {
    typealias Section = ConfigurationReader.Section

    /// Looks at a pool that was read from `section`; `hasBalance` is false when its policy could
    /// not be read.
    static func run(
        _ pool: PoolConfiguration, hasBalance: Bool, _ section: Section,
        _ reader: inout ConfigurationReader
    ) {
        if hasBalance { checkPolicy(pool, section, &reader) }
        checkHedging(pool, section, &reader)
        checkLimits(pool, section, &reader)
        checkWindow(pool, section, &reader)
        noteNeeds(of: pool, section, &reader)
    }

    /// What a connection that passes unread does not show; looked at once all listeners are known.
    private static func noteNeeds(
        of pool: PoolConfiguration, _ section: Section, _ reader: inout ConfigurationReader
    ) {
        var needs: [(what: String, key: String)] = []
        if pool.sticky != nil { needs.append(("the cookie of sticky", "sticky")) }
        if pool.balance.usesHash {
            switch pool.hash.key {
            case .header: needs.append(("the header of hash", "hash"))
            case .cookie: needs.append(("the cookie of hash", "hash"))
            case .path: needs.append(("the path of hash", "hash"))
            case .client, .tuple: break
            }
        }
        for need in needs {
            guard let field = section.fields[need.key] else { continue }
            reader.facts.requestNeeds.append(
                ConfigurationFacts.RequestNeed(
                    pool: pool.name, what: need.what, range: field.keyRange))
        }
    }

    private static func checkPolicy(
        _ pool: PoolConfiguration, _ section: Section, _ reader: inout ConfigurationReader
    ) {
        guard !pool.balance.usesHash else { return }
        reader.warnOfNoEffect(
            "hash", in: section, because: "with balance: \(pool.balance.rawValue)",
            suggestion: pool.balance == .ipHash
                ? "ip_hash takes the client's address; write balance: maglev"
                : "write balance: maglev, or remove it")
    }

    /// The probes of two backends, and so the verdicts of one cause, may be an interval apart.
    private static func checkWindow(
        _ pool: PoolConfiguration, _ section: Section, _ reader: inout ConfigurationReader
    ) {
        guard let guardWindow = pool.cascadeGuard?.window, mayHaveSeveral(pool) else { return }
        let checks = [
            ("health_check", pool.healthCheck), ("readiness_check", pool.readinessCheck),
        ]
        for (name, check) in checks {
            guard let check, let field = section.fields[name] else { continue }
            let percent = UInt64(100 + check.jitterPercent)
            let apart = TimeSpan(nanoseconds: check.interval.nanoseconds / 100 * percent)
            guard guardWindow < apart else { continue }
            reader.warning(
                field.keyRange,
                "verdicts of this check with one cause may come "
                    + "\(DurationText.render(apart)) apart, the window of cascade_guard is "
                    + DurationText.render(guardWindow),
                suggestion: "make the interval shorter, or write cascade_guard: "
                    + suggestedGuard(for: apart))
        }
    }

    /// A window in whole seconds, as long as there is one so long.
    private static func suggestedGuard(for span: TimeSpan) -> String {
        let window = TimeSpan.seconds(span.nanoseconds / 1_000_000_000 + 1)
        guard case .duration(let range, _) = KeyTable.key("pools.NAME.cascade_guard.window").form,
            range.contains(window)
        else { return "off" }
        return "{ window: \(DurationText.render(window)) }"
    }

    /// A name may stand for several backends.
    private static func mayHaveSeveral(_ pool: PoolConfiguration) -> Bool {
        pool.backends.count > 1 || pool.backends.contains { $0.address == nil }
    }

    private static func checkHedging(
        _ pool: PoolConfiguration, _ section: Section, _ reader: inout ConfigurationReader
    ) {
        guard let hedging = pool.hedging, let field = section.fields["hedging"] else { return }
        if pool.retries.attempts > 1 {
            reader.warning(
                field.keyRange,
                "with hedging and attempts: \(pool.retries.attempts) one request may reach "
                    + "\(pool.retries.attempts + 2) backends",
                suggestion: "write attempts: 1 beside hedging")
        }
        if !mayHaveSeveral(pool) {
            reader.warning(
                field.keyRange, "hedging has no effect with one backend",
                suggestion: "a second attempt goes to another backend")
        }
        if let after = hedging.after, let limit = pool.retries.perTryTimeout, after >= limit {
            reader.warning(
                field.keyRange,
                "hedging has no effect: per_try_timeout \(DurationText.render(limit)) ends an "
                    + "attempt before \(DurationText.render(after))",
                suggestion: "make after shorter than per_try_timeout")
        }
    }

    private static func checkLimits(
        _ pool: PoolConfiguration, _ section: Section, _ reader: inout ConfigurationReader
    ) {
        if let adaptive = pool.adaptiveConcurrency, let limit = pool.limits.requests,
            adaptive.requestsMin > limit, let field = section.fields["adaptive_concurrency"]
        {
            reader.error(
                field.keyRange,
                "adaptive_concurrency stays at \(adaptive.requestsMin) or more, but "
                    + "limits.requests is \(limit)",
                suggestion: "make min smaller, or limits.requests larger")
        }
    }
}
