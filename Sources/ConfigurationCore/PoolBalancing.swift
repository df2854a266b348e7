// SPDX-License-Identifier: Apache-2.0
//
// How the backend of a request is chosen: policy, hash keys, stickiness, zones, slow start.

public import WireCore

/// Key `balance` of a pool.
public enum BalancePolicy: String, Hashable, Sendable, CaseIterable {
    /// Smallest `average latency x (requests in flight + 1) / weight`, failures penalised.
    case leastTime = "least_time"
    /// Fewest requests in flight for its weight.
    case leastRequests = "least_requests"
    /// Smooth weighted turns.
    case roundRobin = "round_robin"
    /// The less loaded of two random backends.
    case random
    /// The slot of a Maglev table that `hash.key` falls on.
    case maglev
    /// The point of a hash ring that follows `hash.key`.
    case ringHash = "ring_hash"
    /// The client's address alone, whatever the load.
    case ipHash = "ip_hash"

    /// True when `hash` has a meaning.
    public var usesHash: Bool { self == .maglev || self == .ringHash }
}

/// Key `hash` of a pool: what `maglev` and `ring_hash` look at.
public struct HashConfiguration: Hashable, Sendable {
    /// Key `key`; a request without it is taken by its client's address.
    public enum Key: Hashable, Sendable {
        /// `client`: the address of the client as `trusted_proxies` finds it, IPv6 by /64; the
        /// default.
        case client
        /// `header:NAME`: the first line of that name.
        case header(String)
        /// `cookie:NAME`.
        case cookie(String)
        /// `path`: without the query.
        case path
        /// `tuple`: both addresses and ports of the client's connection and the protocol.
        case tuple
    }

    /// Key `key`.
    public var key: Key
    /// Key `bound`: no backend has more than this share of the mean load, in percent; default 125,
    /// 100 to 1,000; `nil` (written `off`) sets no bound.
    public var boundPercent: Int?

    /// Makes the settings; each has its default.
    public init(key: Key = .client, boundPercent: Int? = 125) {
        self.key = key
        self.boundPercent = boundPercent
    }
}

/// Key `sticky` of a pool.
public struct StickyConfiguration: Hashable, Sendable {
    /// Key `mode`.
    public enum Mode: String, Hashable, Sendable, CaseIterable {
        /// We add a cookie of our own that names the backend and tells nothing; the default.
        case insert
        /// The application's cookie is remembered when a backend sets it.
        case learn
    }

    /// Key `SameSite` of the cookie.
    public enum SameSite: String, Hashable, Sendable, CaseIterable {
        /// `SameSite=Lax`, the default.
        case lax
        /// `SameSite=Strict`.
        case strict
        /// `SameSite=None`; wants `secure`.
        case none
    }

    /// Key `mode`.
    public var mode: Mode
    /// Key `cookie`: its name; default `tandem` for insert, required for learn.
    public var cookie: String
    /// Key `max_age`: how long a browser keeps our cookie; `nil` (the default) until it closes.
    public var maxAge: TimeSpan?
    /// Key `secure`: our cookie is for https alone; default false.
    public var isSecure: Bool
    /// Key `same_site`.
    public var sameSite: SameSite
    /// Key `domain`; `nil` (the default) is the host that was asked.
    public var domain: String?
    /// Key `path`; default `/`.
    public var path: String
    /// Key `forward`: backends see our cookie; default false.
    public var forwards: Bool
    /// Key `while_draining`: clients reach their backend while it drains; default true.
    public var whileDraining: Bool
    /// Key `entries`: application cookies remembered, 1,024 to 16,777,216; default 131,072.
    public var entriesMax: Int
    /// Key `expire`: a remembered cookie is forgotten when unused so long; default 30 min.
    public var expire: TimeSpan

    /// Makes the settings; each has its default.
    public init(
        mode: Mode = .insert, cookie: String = "tandem", maxAge: TimeSpan? = nil,
        isSecure: Bool = false, sameSite: SameSite = .lax, domain: String? = nil,
        path: String = "/", forwards: Bool = false, whileDraining: Bool = true,
        entriesMax: Int = 131_072, expire: TimeSpan = .seconds(1_800)
    ) {
        self.mode = mode
        self.cookie = cookie
        self.maxAge = maxAge
        self.isSecure = isSecure
        self.sameSite = sameSite
        self.domain = domain
        self.path = path
        self.forwards = forwards
        self.whileDraining = whileDraining
        self.entriesMax = entriesMax
        self.expire = expire
    }
}

/// How the zones and priorities of a pool share its traffic.
public struct SharingConfiguration: Hashable, Sendable {
    /// Key `panic_threshold`: when fewer backends than this are healthy, in percent, all of them
    /// are used; default 50, 0 (never) to 100.
    public var panicPercent: Int
    /// Key `overprovisioning`: a group carries its whole share as long as its healthy backends
    /// times this, in percent, cover it; default 140, 100 to 1,000.
    public var overprovisionPercent: Int
    /// Key `zone_aware`: backends of the node's own zone are preferred; default true.
    public var isZoneAware: Bool

    /// Makes the settings; each has its default.
    public init(
        panicPercent: Int = 50, overprovisionPercent: Int = 140, isZoneAware: Bool = true
    ) {
        self.panicPercent = panicPercent
        self.overprovisionPercent = overprovisionPercent
        self.isZoneAware = isZoneAware
    }
}

/// Key `slow_start` of a pool: a returning backend's share grows.
public struct SlowStartConfiguration: Hashable, Sendable {
    /// Key `window`; default 60 s, 1 s to 1 h.
    public var window: TimeSpan
    /// Key `aggression`, in hundredths: 100 (the default) grows evenly, more grows faster at first;
    /// written as `1.0`, 0.1 to 10.
    public var aggressionPercent: Int
    /// Key `min_percent`: the share at the beginning; default 10, 1 to 100.
    public var minPercent: Int

    /// Makes the settings; each has its default.
    public init(
        window: TimeSpan = .seconds(60), aggressionPercent: Int = 100, minPercent: Int = 10
    ) {
        self.window = window
        self.aggressionPercent = aggressionPercent
        self.minPercent = minPercent
    }
}
