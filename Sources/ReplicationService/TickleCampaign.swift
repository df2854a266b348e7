// SPDX-License-Identifier: Apache-2.0
//
// Resets the clients of the node that held some addresses before: one bare ACK to each, several
// times, in bursts with turns of the loop between them. Which clients those are is the owner's.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

/// How packets leave.
protocol SegmentSending: AnyObject {
    /// Sends a packet as it is.
    func send(_ packet: [UInt8], to destination: IPAddress) throws(Errno) -> IOOutcome
}

/// The raw sockets behind ``SegmentSending``.
final class SegmentSender: SegmentSending {
    private final class Sender {
        let socket: RawSegmentSocket

        init(_ family: AddressFamily) throws(Errno) {
            socket = try RawSegmentSocket(family)
        }
    }

    private let ipv4: Sender
    /// `nil` on a kernel without IPv6, which has no IPv6 clients either.
    private let ipv6: Sender?

    init() throws(Errno) {
        ipv4 = try Sender(.ipv4)
        ipv6 = try? Sender(.ipv6)
    }

    func send(_ packet: [UInt8], to destination: IPAddress) throws(Errno) -> IOOutcome {
        let sender = destination.family == .ipv4 ? ipv4 : ipv6
        guard let sender else { throw Errno.networkUnreachable }
        return try sender.socket.send(packet, to: destination)
    }
}

/// The packets after one takeover.
final class TickleCampaign {
    /// When each round begins, counted from the takeover.
    ///
    /// The first answers come within a round trip. The second and third cover lost packets and
    /// neighbours that learn late where the address is. The last one comes after the half second
    /// in which a client does not answer the same oddity twice (tcp_invalid_ratelimit), for
    /// answers that went to the node that held the address before.
    static let rounds: [TimeSpan] = [
        .zero, .milliseconds(50), .milliseconds(250), .milliseconds(1_000),
    ]
    /// Packets sent before the loop gets its turn; a quarter of what a kernel queues for one core
    /// (net.core.netdev_max_backlog), for on a busy host nothing is taken off while we send.
    static let packetsPerTurnMax = 256
    /// How long sending rests between bursts, so that answers are handled.
    static let pauseBetweenBursts = TimeSpan.microseconds(500)
    /// How long sending rests when the kernel has no room.
    static let pauseWhenFull = TimeSpan.milliseconds(1)

    let addresses: Set<IPAddress>
    /// How many snapshots of the peer were known when the clients were taken out of its table.
    let snapshotCount: UInt64
    private let loop: EventLoop
    private let sender: any SegmentSending
    private let report: ReplicationReport
    private(set) var clients: [ClientKey] = []
    private var known: Set<ClientKey> = []
    private var segment = TickleSegment()
    private var round = 0
    private var next = 0
    private var timer: TimerID?
    private(set) var sentCount = 0
    private(set) var failedCount = 0
    /// Learns which clients to add at the start of a round.
    var newClients: () -> [ClientKey] = { [] }
    /// Whether a client has come back on the same tuple and needs no more packets.
    var isBack: (ClientKey) -> Bool = { _ in false }
    /// Called after every round with its number.
    var onRoundEnded: (Int) -> Void = { _ in }

    init(
        addresses: Set<IPAddress>, snapshotCount: UInt64, loop: EventLoop,
        sender: any SegmentSending, report: ReplicationReport
    ) {
        self.addresses = addresses
        self.snapshotCount = snapshotCount
        self.loop = loop
        self.sender = sender
        self.report = report
    }

    /// Whether the client is one of those that are reset.
    func contains(_ client: ClientKey) -> Bool { known.contains(client) }

    var isOver: Bool { round == Self.rounds.count }

    /// Begins with the first round at once.
    func start() {
        beginRound()
    }

    /// Sends nothing more.
    func cancel() {
        timer.map(loop.cancel)
        timer = nil
        round = Self.rounds.count
    }

    private func beginRound() {
        timer = nil
        let added = newClients().filter { known.insert($0).inserted }
        clients += added
        next = 0
        sendBurst()
    }

    private func sendBurst() {
        timer = nil
        // Every second round asks those whose window lies around the first number.
        let sequence = round % 2 == 0 ? 0 : TickleSegment.otherSequence
        let end = min(next + Self.packetsPerTurnMax, clients.count)
        while next < end {
            guard send(to: clients[next], sequence: sequence) else {
                timer = loop.schedule(at: Clock.now() + Self.pauseWhenFull) { [weak self] in
                    self?.sendBurst()
                }
                return
            }
            next += 1
        }
        guard next == clients.count else {
            timer = loop.schedule(at: Clock.now() + Self.pauseBetweenBursts) { [weak self] in
                self?.sendBurst()
            }
            return
        }
        endRound()
    }

    private func endRound() {
        let ended = round
        round += 1
        if !isOver {
            let wait = Self.rounds[round] - Self.rounds[ended]
            timer = loop.schedule(after: wait) { [weak self] in self?.beginRound() }
        }
        onRoundEnded(ended)
    }

    /// - Returns: false when the kernel has no room and the packet must be sent again.
    private func send(to client: ClientKey, sequence: UInt32) -> Bool {
        if round > 0, isBack(client) { return true }
        segment.address(to: client, sequence: sequence)
        do throws(Errno) {
            guard case .bytes = try sender.send(segment.bytes, to: client.remoteAddress) else {
                return false
            }
            sentCount += 1
            report.ticklesSent.add()
        } catch {
            failedCount += 1
            report.ticklesFailed.add()
        }
        return true
    }
}
