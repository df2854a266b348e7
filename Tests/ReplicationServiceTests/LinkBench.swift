// SPDX-License-Identifier: Apache-2.0
//
// What the pair-link tests stand on: loopback addresses of their own, an owner that remembers, and
// a peer made of raw sockets that can do what a good node never does.

import ConfigurationCore
import EventLoop
import LinuxIO
import ReplicationCore
import ReplicationService
import Synchronization
import TLSIO
import Telemetry
import Testing
import WireCore

/// Two nodes on loopback addresses that no other test uses.
struct LinkBench {
    private static let count = Atomic<UInt32>(0)
    static let interval = TimeSpan.milliseconds(20)
    static let cryptography = LinkCryptography.openSSL

    let left: NodeConfiguration
    let right: NodeConfiguration
    let port: UInt16

    init() {
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        let process = UInt32(truncatingIfNeeded: ProcessLimits.processID)
        // 127.77.x.y, four addresses a test; the port differs between processes.
        let base = IPv4Address(127, 77, 0, 0).rawValue + number * 4
        port = UInt16(20_000 + process % 12_000)
        left = NodeConfiguration(
            name: "lb1", address: IPv4Address(rawValue: base + 1), priority: 200)
        right = NodeConfiguration(
            name: "lb2", address: IPv4Address(rawValue: base + 2), priority: 100)
    }

    var stranger: IPv4Address { IPv4Address(rawValue: left.address.rawValue + 2) }

    func leftSettings(
        secret: LinkSecret? = nil, descriptors: DescriptorPlan? = nil
    ) -> PairLinkSettings {
        PairLinkSettings(
            own: left, peer: right, port: port, heartbeatInterval: Self.interval, secret: secret,
            descriptors: descriptors, seed: 1)
    }

    func rightSettings(secret: LinkSecret? = nil) -> PairLinkSettings {
        PairLinkSettings(
            own: right, peer: left, port: port, heartbeatInterval: Self.interval, secret: secret,
            descriptors: nil, seed: 2)
    }

    func endpoint(of node: NodeConfiguration) -> Endpoint {
        Endpoint(address: .v4(node.address), port: port)
    }
}

/// What an owner heard, in order.
enum OwnerEvent: Hashable {
    case died
    case left
    case up
    case down(LinkDownReason)
}

/// A node with a real pair link.
final class TestNode: PairLinkOwner {
    let link: PairLink
    var report = PairLinkReport(
        routers: [VirtualRouterReport(id: 51, role: .backup)], configurationHash: 1,
        isDataPlaneHealthy: true)
    private(set) var events: [OwnerEvent] = []
    private(set) var heard: Heartbeat?
    var onEvent: (OwnerEvent) -> Void = { _ in }
    var onWillBeat: () -> Void = {}
    var onHeard: (Heartbeat) -> Void = { _ in }

    init(_ settings: PairLinkSettings, on loop: EventLoop) throws {
        link = PairLink(loop: loop, settings: settings, logger: Logger("link", sink: nil))
        link.owner = self
        try link.start()
    }

    private func note(_ event: OwnerEvent) {
        events.append(event)
        onEvent(event)
    }

    func count(_ counter: LinkCounter) -> UInt64 { link.counters.value(of: counter) }
    func pairLinkWillBeat() { onWillBeat() }
    func pairLinkReport() -> PairLinkReport { report }
    func pairLinkPeerProcessDied(at instant: Instant) { note(.died) }
    func pairLinkPeerLeft(at instant: Instant) { note(.left) }
    func pairLinkCameUp() { note(.up) }
    func pairLinkWentDown(_ reason: LinkDownReason) { note(.down(reason)) }
    func pairLinkHeard(_ heartbeat: Heartbeat, at instant: Instant) {
        heard = heartbeat
        onHeard(heartbeat)
    }
}

/// One raw connection to a node's pair-link port.
final class RawConnection {
    private var descriptor: FileDescriptor?
    private var received: [UInt8] = []
    private(set) var isEnded = false

    init(from source: IPv4Address, to target: Endpoint) throws {
        var options = StreamSocket.ConnectOptions()
        options.source = Endpoint(address: .v4(source), port: 0)
        descriptor = try StreamSocket.connect(to: target, options: options)
    }

    init(_ accepted: consuming AcceptedConnection) {
        descriptor = accepted.takeSocket()
    }

    /// Sends everything; false once the other side is gone.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        switch descriptor {
        case .some(let descriptor):
            return (try? StreamSocket.send(descriptor, bytes)) == .bytes(bytes.count)
        case nil:
            return false
        }
    }

    /// The next frame that has arrived, if one has.
    func poll() throws -> LinkFrame? {
        while true {
            let bytes = received
            if case .frame(let frame, let count) = try LinkFrameDecoder.decode(bytes.span.bytes) {
                received.removeFirst(count)
                return frame
            }
            guard !isEnded, let more = read() else { return nil }
            received += more
        }
    }

    /// Everything that has arrived, as it came.
    func takeBytes() -> [UInt8] {
        while !isEnded, let more = read() { received += more }
        defer { received = [] }
        return received
    }

    private func read() -> [UInt8]? {
        switch descriptor {
        case .some(let descriptor):
            do {
                guard let bytes = try descriptor.read(upTo: 4096) else { return nil }
                isEnded = bytes.isEmpty
                return bytes
            } catch {
                isEnded = true
                return nil
            }
        case nil:
            return nil
        }
    }

    func close(reset: Bool = false) {
        switch descriptor {
        case .some(let descriptor): if reset { StreamSocket.resetOnClose(descriptor) }
        case nil: break
        }
        _ = descriptor.take()
    }
}

/// The node "lb2" made of raw sockets: a listener that nobody serves and links it dials itself.
final class FakePeer {
    let bench: LinkBench
    let loop: EventLoop
    let identity: LinkIdentity
    private var listener: FileDescriptor?

    init(_ bench: LinkBench, on loop: EventLoop, secret: LinkSecret? = nil) throws {
        self.bench = bench
        self.loop = loop
        identity = LinkIdentity(
            ownName: "lb2", peerName: "lb1", secret: secret,
            cryptography: LinkBench.cryptography)
        listener = try StreamSocket.listen(on: bench.endpoint(of: bench.right))
    }

    func closeListener() {
        _ = listener.take()
    }

    /// Accepts the node's own link and shakes hands as a good node does.
    func acceptAndShakeHands() throws -> RawConnection {
        var accepted: RawConnection?
        try #require(
            eventually(loop) {
                accepted = acceptNext()
                return accepted != nil
            })
        let connection = try #require(accepted)
        var machine = AcceptorHandshakeStateMachine(
            identity: identity, nonce: SecureRandom.bytes(count: LinkProtocol.nonceByteCount))
        while true {
            var frame: LinkFrame?
            try #require(
                eventually(loop) {
                    frame = (try? connection.poll()) ?? nil
                    return frame != nil
                })
            switch machine.frameReceived(try #require(frame)) {
            case .send(let answer):
                connection.send(LinkFrameEncoder.encode(answer))
            case .accept(let answer, _):
                connection.send(LinkFrameEncoder.encode(answer))
                return connection
            case .refuse(let reason):
                throw LinkHandshakeFailure.refusedHere(reason)
            }
        }
    }

    private func acceptNext() -> RawConnection? {
        switch listener {
        case .some(let listener):
            guard let accepted = try? StreamSocket.accept(from: listener) else { return nil }
            return RawConnection(accepted)
        case nil:
            return nil
        }
    }

    func connect() throws -> RawConnection {
        try RawConnection(from: bench.right.address, to: bench.endpoint(of: bench.left))
    }

    /// Dials and shakes hands as a good node does, and sends a first heartbeat.
    func establish() throws -> (connection: RawConnection, sender: LinkSender) {
        let connection = try connect()
        var machine = DiallerHandshakeStateMachine(identity: identity)
        var action = machine.start(nonce: SecureRandom.bytes(count: LinkProtocol.nonceByteCount))
        while true {
            switch action {
            case .send(let frame):
                let bytes = LinkFrameEncoder.encode(frame)
                try #require(eventually(loop) { connection.send(bytes) })
                var answer: LinkFrame?
                try #require(
                    eventually(loop) {
                        answer = (try? connection.poll()) ?? nil
                        return answer != nil
                    })
                action = machine.frameReceived(try #require(answer))
            case .establish(let key):
                var sender = LinkSender(key: key, cryptography: identity.cryptography)
                connection.send(sender.seal(FakePeer.heartbeat))
                return (connection, sender)
            case .fail(let failure):
                throw failure
            }
        }
    }

    static let heartbeat = Heartbeat(
        sentAt: Instant(nanoseconds: 1), configurationHash: 1, isDataPlaneHealthy: true,
        timerLateness: .zero, routers: [])
}

/// Runs the loop until `condition` holds; false when it does not within twenty seconds, which a
/// busy host may need.
func eventually(_ loop: EventLoop, _ condition: () -> Bool) -> Bool {
    let deadline = Clock.now() + .seconds(20)
    while Clock.now() < deadline {
        // Raw sockets are not on the loop: look at them every millisecond.
        if loop.run(until: Clock.now() + .milliseconds(1), condition) { return true }
    }
    return false
}

/// A secret that repeats one byte.
func secret(_ byte: UInt8) throws -> LinkSecret {
    try LinkSecret(fileContent: [UInt8](repeating: byte, count: 32))
}
