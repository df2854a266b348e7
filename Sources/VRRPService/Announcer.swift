// SPDX-License-Identifier: Apache-2.0
//
// Gratuitous ARP on the wire. When to announce is the speaker's decision.

public import EventLoop
public import LinuxIO
public import NetlinkIO
public import Telemetry
internal import VRRPCore
public import WireCore

/// Sends gratuitous ARP for addresses, at once and again after fixed delays.
public final class Announcer: AddressAnnouncing {
    /// When an announcement is repeated: a single frame may be lost in a switch that is learning.
    public static let repeatDelays: [TimeSpan] = [
        .milliseconds(50), .milliseconds(200), .seconds(1),
    ]

    /// Frames the kernel took.
    public let sentCount = Counter()
    /// Frames the kernel refused.
    public let failedCount = Counter()

    private let loop: EventLoop
    private let socket: PacketSocket
    private var hardwareAddress: HardwareAddress?
    private var frames: [IPAddress: [UInt8]] = [:]
    private var timers: [TimerID] = []

    /// While true nothing is announced and nobody is answered, though the addresses are held.
    public var isQuiet = false {
        didSet { if isQuiet { cancel() } }
    }

    /// Opens the socket on an interface, ready before it is needed.
    ///
    /// - Throws: EPERM without CAP_NET_RAW.
    public init(_ point: AttachmentPoint, loop: EventLoop, logger: Logger) throws(Errno) {
        self.loop = loop
        socket = try PacketSocket(interfaceIndex: point.link.index)
        hardwareAddress = HardwareAddress(bytes: point.link.hardwareAddress)
    }

    deinit {
        cancel()
    }

    /// Takes over the interface's present link-layer address.
    public func update(link: NetworkLink) {
        let current = HardwareAddress(bytes: link.hardwareAddress)
        guard current != hardwareAddress else { return }
        hardwareAddress = current
        frames.removeAll()
    }

    /// The addresses are on this node now: questions for them are answered from here on.
    public func hold(_ addresses: [IPAddress]) {}

    /// The addresses are about to go: nothing more is said about them.
    public func letGo() {
        cancel()
    }

    /// Takes the port off its loop for good.
    public func close() {
        letGo()
    }

    /// Announces at once and again after `repeatDelays`; replaces repeats that still wait.
    public func announce(_ addresses: [IPAddress]) {
        cancel()
        guard !isQuiet else { return }
        send(addresses)
        let start = Clock.now()
        timers = Self.repeatDelays.map { delay in
            loop.schedule(at: start + delay) { [weak self] in self?.send(addresses) }
        }
    }

    /// Forgets repeats that still wait.
    public func cancel() {
        for timer in timers { loop.cancel(timer) }
        timers.removeAll()
    }

    private func send(_ addresses: [IPAddress]) {
        guard let hardwareAddress else { return }
        for address in addresses {
            guard case .v4(let target) = address else { continue }
            let frame =
                frames[address] ?? GratuitousARP.frame(mac: hardwareAddress, address: target)
            frames[address] = frame
            if case .bytes = try? socket.send(frame) {
                sentCount.add()
            } else {
                failedCount.add()
            }
        }
    }
}
