// SPDX-License-Identifier: Apache-2.0
//
// How fast a client must be: progress within `timeouts.body_idle`, and on average
// `limits.body_rate_min` once a body has been on its way for `timeouts.body_grace`. Only time in
// which it is the client that is waited for counts.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

/// What is known about the speed of one client.
struct ClientPace {
    /// While it sends: when the bytes that came so far no longer make up for the time.
    var deadline = Instant.distantFuture
    /// While it reads: since when it has been waited for.
    var waitBegan = Instant(nanoseconds: 0)
    /// While it reads: when it was last seen to have taken something.
    var progressed = Instant(nanoseconds: 0)
    /// While it reads: bytes that were in the kernel at the first look, and at the last one.
    var queuedAtFirst: UInt32 = 0
    var queued: UInt32 = 0
    var isSampled = false
    /// It waits for `100 (Continue)` before it sends its body.
    var awaitsContinue = false
    /// We have sent it one ourselves.
    var wasContinued = false
}

/// What a look at a waiting client gave.
enum PaceVerdict {
    case keepsUp
    case isIdle
    case isTooSlow
}

extension Worker {
    /// Looks at a client that is waited for, within one `timeouts.body_idle`.
    private static let paceLooks: UInt64 = 4
    /// How long a backend may take to say whether it wants a body before the client is told to
    /// send it: few clients wait longer by themselves (RFC 9110 §10.1.1).
    static let continueSpan = TimeSpan.seconds(1)

    // MARK: Sending a body

    /// A body begins to come from a client, or may go on after the backend held it up.
    @inline(__always)
    mutating func beginReceiving(_ client: ClientConnection.Pointer) {
        guard limits.bodyRateMin > 0 else { return }
        client.pointee.pace.deadline = now + timeouts.bodyGrace
    }

    /// Body bytes came: they buy time.
    @inline(__always)
    mutating func noteBodyBytes(_ client: ClientConnection.Pointer, _ byteCount: Int) {
        client.pointee.pace.awaitsContinue = false
        let rate = UInt64(limits.bodyRateMin)
        var deadline = now + timeouts.bodyIdle
        if rate > 0 {
            // What was fast long ago does not buy hours.
            let earned =
                client.pointee.pace.deadline
                + TimeSpan(nanoseconds: UInt64(byteCount) &* 1_000_000_000 / rate)
            client.pointee.pace.deadline = min(earned, deadline + timeouts.bodyGrace)
            deadline = min(deadline, client.pointee.pace.deadline)
        }
        timers.arm(clients.slot(of: client), at: deadline)
    }

    /// Books that a client was cut off while it owed a body.
    func countSlowSender(_ client: ClientConnection.Pointer) {
        client.pointee.listener.pointee.count { $0.clientTimeouts.add() }
        guard limits.bodyRateMin > 0, now >= client.pointee.pace.deadline else { return }
        count { $0.limits.bodyRate.add() }
    }

    // MARK: Reading a body

    /// The kernel takes no more for a client.
    ///
    /// It reports room only when a good part of a large buffer is free again, so a deadline that
    /// waits for that would cut off slow readers: they are looked at meanwhile.
    @inline(__always)
    mutating func beginWaiting(_ client: ClientConnection.Pointer) {
        client.pointee.pace.waitBegan = now
        client.pointee.pace.isSampled = false
        arm(client, after: timeouts.bodyIdle.divided(by: Self.paceLooks))
    }

    /// Looks whether a client that is waited for takes bytes from the kernel (SIOCOUTQ).
    mutating func lookAtReader(_ client: ClientConnection.Pointer) -> PaceVerdict {
        let queued = UInt32(clamping: SocketTransfer.unacknowledgedByteCount(client.pointee.socket))
        if !client.pointee.pace.isSampled {
            client.pointee.pace.isSampled = true
            client.pointee.pace.queuedAtFirst = queued
            client.pointee.pace.progressed = now
            client.pointee.pace.waitBegan = now
        } else if queued < client.pointee.pace.queued {
            client.pointee.pace.progressed = now
        }
        client.pointee.pace.queued = queued
        guard now - client.pointee.pace.progressed < timeouts.bodyIdle else { return .isIdle }
        let waited = now - client.pointee.pace.waitBegan
        if limits.bodyRateMin > 0, waited >= timeouts.bodyGrace {
            let taken = UInt64(
                client.pointee.pace.queuedAtFirst &- min(queued, client.pointee.pace.queuedAtFirst))
            let due = waited.milliseconds.multipliedReportingOverflow(
                by: UInt64(limits.bodyRateMin))
            if due.overflow || taken < due.partialValue / 1_000 { return .isTooSlow }
        }
        arm(client, after: timeouts.bodyIdle.divided(by: Self.paceLooks))
        return .keepsUp
    }

    /// Cuts off a client that does not take its response; true when it was.
    mutating func cutsOffReader(_ client: ClientConnection.Pointer) -> Bool {
        switch lookAtReader(client) {
        case .keepsUp: return false
        case .isTooSlow: count { $0.limits.bodyRate.add() }
        case .isIdle: break
        }
        noteCause(client, .clientTimedOut)
        client.pointee.listener.pointee.count { $0.clientTimeouts.add() }
        return true
    }

    // MARK: Expect: 100-continue

    /// RFC 9110 §10.1.1: the expectation goes to the backend, which decides; its 100 is passed on.
    ///
    /// A backend that neither answers nor says so would leave a client waiting that trusts the
    /// protocol: then we tell it to send.
    @inline(__always)
    mutating func beginExpecting(_ client: ClientConnection.Pointer) {
        guard request.expectsContinue, !client.pointee.body.isComplete,
            client.pointee.input.isEmpty, !client.pointee.pace.wasContinued
        else { return }
        client.pointee.pace.awaitsContinue = true
        arm(client, after: min(Self.continueSpan, timeouts.bodyIdle))
    }

    /// Tells a client to send the body it holds back.
    mutating func continueByOurselves(_ client: ClientConnection.Pointer) {
        client.pointee.pace.awaitsContinue = false
        client.pointee.pace.wasContinued = true
        beginReceiving(client)
        arm(client, after: timeouts.bodyIdle)
        let bytes = LocalResponse.continueResponse
        let count = bytes.utf8CodeUnitCount
        let outcome = SocketTransfer.send(
            client.pointee.socket, UnsafeRawPointer(bytes.utf8Start), count: count)
        client.pointee.shadow.noteSent(max(0, outcome.byteCount))
        guard outcome.byteCount < count else { return }
        let whole = UnsafeMutableRawBufferPointer(
            mutating: UnsafeRawBufferPointer(start: bytes.utf8Start, count: count))
        keep(whole[max(0, outcome.byteCount)...], in: &client.pointee.output)
    }
}
