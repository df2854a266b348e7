// SPDX-License-Identifier: Apache-2.0
//
// Judges the peer's life by the connection the peer dialled. Owns the rule of the death
// certificate; owns no socket, no clock and no decision about the virtual addresses.
//
//               linkEstablished             endOfStream            probe refused
//     down(quiet) ----------> up(hearing) --------------> probing ---------------> down: DEAD
//        ^                    |    ^  |                      | connected and stays,
//        |     silence: DOWN  v    |  | goodbye              | no answer: no verdict
//        |                 up(silent) v                      v
//        +-- reset, fault --- any up; end of stream after goodbye: LEFT       down

public import WireCore

/// Names one accepted, authenticated connection for as long as the process runs.
public struct LinkGeneration: Hashable, Comparable, Sendable {
    /// Counts up with every connection.
    public var number: UInt64

    /// Makes a name.
    public init(number: UInt64) {
        self.number = number
    }

    /// Compares ages: the older one is smaller.
    public static func < (left: LinkGeneration, right: LinkGeneration) -> Bool {
        left.number < right.number
    }
}

/// Why the link from the peer is down.
public enum LinkDownReason: String, Hashable, Sendable, CaseIterable {
    /// The peer has not connected yet.
    case neverUp = "never_up"
    /// No heartbeat for several intervals.
    case silent
    /// The peer's kernel closed the connection in order.
    case endOfStream = "end_of_stream"
    /// The connection was reset or failed, which says nothing about the peer's process.
    case reset
    /// The peer broke the protocol.
    case fault
    /// The peer said goodbye.
    case goodbye
}

/// How a connection ended, as the driver saw it.
public enum LinkEnding: Hashable, Sendable {
    /// read(2) returned 0: a FIN arrived behind the last byte.
    case endOfStream
    /// read(2) failed: a reset, a time-out, an unreachable network.
    case reset
    /// This node closed it because the peer broke the protocol.
    case fault
}

/// What became of a probe of the peer's listener.
public enum ProbeResult: Hashable, Sendable {
    /// ECONNREFUSED: the peer's kernel answers and nothing listens.
    case refused
    /// The connection was accepted.
    case connected
    /// The connection was accepted and then closed before the probe's deadline.
    case closedAfterConnect
    /// Any other error.
    case failed
}

/// What the driver does or reports next.
public enum PeerLivenessAction: Hashable, Sendable {
    /// Nothing.
    case none
    /// The link works (again).
    case reportLinkUp
    /// The link does not work; nobody takes over for that.
    case reportLinkDown(LinkDownReason)
    /// Dial the peer's listener at once on a fresh connection, then report the link as down.
    case probeAndReportLinkDown
    /// Dial the peer's listener again on a fresh connection.
    case probe
    /// The peer's process is gone while its kernel lives: take over at once.
    case certifyDeath
    /// The peer left on purpose: take over at once.
    case reportPeerLeft
    /// The probe ended without a verdict: the peer lives, only the link broke.
    case reportPeerAlive
    /// The probe ended without a verdict: VRRP's timers decide.
    case reportNoVerdict
}

/// Decides what the end or the silence of the peer's connection means.
///
/// A certificate needs three facts in this order: an authenticated link, its orderly end (the
/// dying process's kernel sends FIN, because nobody ever writes to that socket and so no unread
/// byte can turn the FIN into a reset), and a refusal from the peer's own listener right after it.
/// One link certifies at most once.
public struct PeerLivenessStateMachine: Sendable {
    /// Intervals without a heartbeat after which the link counts as down.
    public static let silenceIntervals: UInt64 = 3
    /// Time for the peer's kernel to answer one probe; a LAN needs well under a millisecond.
    public static let probeTimeout = TimeSpan.milliseconds(50)
    /// Probes per ended link; a lost SYN or a listener that closes late costs one.
    public static let probesMax = 3

    private enum State: Sendable {
        case down(LinkDownReason)
        case up(Up)
        case probing(Probing)
    }

    private struct Up: Sendable {
        var link: LinkGeneration
        var silenceDeadline: Instant
        var isSilent = false
        var saidGoodbye = false
    }

    private struct Probing: Sendable {
        var count: Int
        var deadline: Instant
        var isConnected = false
    }

    private let heartbeatInterval: TimeSpan
    private var state = State.down(.neverUp)

    /// Starts without a link.
    public init(heartbeatInterval: TimeSpan) {
        self.heartbeatInterval = heartbeatInterval
    }

    /// Whether heartbeats arrive.
    public var isLinkUp: Bool {
        switch state {
        case .up(let up): !up.isSilent
        case .down, .probing: false
        }
    }

    /// Why the link is down, or `nil` while it is up.
    public var downReason: LinkDownReason? {
        switch state {
        case .up(let up): up.isSilent ? .silent : nil
        case .down(let reason): reason
        case .probing: .endOfStream
        }
    }

    /// When ``deadlinePassed(now:)`` wants to be called next.
    public var nextDeadline: Instant? {
        switch state {
        case .down: nil
        case .up(let up): up.isSilent ? nil : up.silenceDeadline
        case .probing(let probing): probing.deadline
        }
    }

    /// The first authenticated frame came on a connection that the peer dialled.
    ///
    /// The newest link counts: the peer redials only when it takes its older one for broken.
    public mutating func linkEstablished(_ link: LinkGeneration, now: Instant) -> PeerLivenessAction
    {
        switch state {
        case .up(let up) where up.link >= link:
            return .none
        case .up(let up):
            state = .up(Up(link: link, silenceDeadline: silenceDeadline(after: now)))
            return up.isSilent ? .reportLinkUp : .none
        case .down, .probing:
            state = .up(Up(link: link, silenceDeadline: silenceDeadline(after: now)))
            return .reportLinkUp
        }
    }

    /// An authenticated heartbeat came.
    public mutating func heartbeatReceived(
        on link: LinkGeneration, now: Instant
    ) -> PeerLivenessAction {
        switch state {
        case .up(var up) where up.link == link:
            let wasSilent = up.isSilent
            up.isSilent = false
            up.silenceDeadline = silenceDeadline(after: now)
            state = .up(up)
            return wasSilent ? .reportLinkUp : .none
        case .up, .down, .probing:
            return .none
        }
    }

    /// An authenticated goodbye came; it counts once the stream ends behind it.
    public mutating func goodbyeReceived(on link: LinkGeneration) {
        switch state {
        case .up(var up) where up.link == link:
            up.saidGoodbye = true
            state = .up(up)
        case .up, .down, .probing:
            break
        }
    }

    /// A connection that the peer dialled ended; unknown and replaced ones do not count.
    public mutating func linkEnded(
        _ link: LinkGeneration, _ ending: LinkEnding, now: Instant
    ) -> PeerLivenessAction {
        switch state {
        case .up(let up) where up.link == link:
            switch ending {
            case .endOfStream where up.saidGoodbye:
                state = .down(.goodbye)
                return .reportPeerLeft
            case .endOfStream:
                state = .probing(Probing(count: 1, deadline: now + Self.probeTimeout))
                return .probeAndReportLinkDown
            case .reset:
                state = .down(.reset)
                return up.isSilent ? .none : .reportLinkDown(.reset)
            case .fault:
                state = .down(.fault)
                return up.isSilent ? .none : .reportLinkDown(.fault)
            }
        case .up, .down, .probing:
            return .none
        }
    }

    /// The probe that was asked for last has a result.
    public mutating func probeEnded(_ result: ProbeResult, now: Instant) -> PeerLivenessAction {
        switch state {
        case .probing(var probing):
            switch result {
            case .refused:
                state = .down(.endOfStream)
                return .certifyDeath
            case .connected:
                // A dying process may still have its listener: wait whether the connection lasts.
                probing.isConnected = true
                state = .probing(probing)
                return .none
            case .closedAfterConnect:
                return probeAgain(after: probing, now: now)
            case .failed:
                state = .down(.endOfStream)
                return .reportNoVerdict
            }
        case .up, .down:
            return .none
        }
    }

    /// The deadline of ``nextDeadline`` has passed.
    public mutating func deadlinePassed(now: Instant) -> PeerLivenessAction {
        switch state {
        case .up(var up):
            guard !up.isSilent, up.silenceDeadline <= now else { return .none }
            if now - up.silenceDeadline > heartbeatInterval {
                // This node itself was late: heartbeats may be waiting in the socket.
                up.silenceDeadline = now + heartbeatInterval
                state = .up(up)
                return .none
            }
            up.isSilent = true
            state = .up(up)
            return .reportLinkDown(.silent)
        case .probing(let probing):
            guard probing.deadline <= now else { return .none }
            if probing.isConnected {
                state = .down(.endOfStream)
                return .reportPeerAlive
            }
            return probeAgain(after: probing, now: now)
        case .down:
            return .none
        }
    }

    private mutating func probeAgain(
        after probing: Probing, now: Instant
    ) -> PeerLivenessAction {
        guard probing.count < Self.probesMax else {
            state = .down(.endOfStream)
            return .reportNoVerdict
        }
        state = .probing(
            Probing(count: probing.count + 1, deadline: now + Self.probeTimeout))
        return .probe
    }

    private func silenceDeadline(after now: Instant) -> Instant {
        now + heartbeatInterval.multiplied(by: Self.silenceIntervals)
    }
}
