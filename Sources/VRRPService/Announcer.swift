// SPDX-License-Identifier: Apache-2.0
//
// What the LAN hears about the addresses of one virtual router: gratuitous ARP, unsolicited
// neighbour advertisements, and answers where the kernel gives none. When, the speaker decides.

public import EventLoop
public import LinuxIO
internal import NetlinkIO
public import Telemetry
internal import VRRPCore
public import WireCore

/// Announces addresses, at once and again after fixed delays, and answers who asks for them.
public final class Announcer: AddressAnnouncing {
    /// When an announcement is repeated: a single frame may be lost in a switch that is learning.
    public static let repeatDelays: [TimeSpan] = [
        .milliseconds(50), .milliseconds(200), .seconds(1),
    ]

    /// Frames the kernel took.
    public let sentCount = Counter()
    /// Frames the kernel refused.
    public let failedCount = Counter()
    /// Whether nobody can answer for the addresses from here, so that the kernel must: the
    /// addresses belong on the LAN's interface itself then.
    public let needsAddressOnInterface: Bool

    private let loop: EventLoop
    private let logger: Logger
    private let point: AttachmentPoint
    private let socket: PacketSocket
    private let responder: NeighborResponder?
    private let device: VirtualMACDevice?
    private let kernel: KernelAnswers?
    private var hardwareAddress: HardwareAddress?
    private var frames: [IPAddress: [UInt8]] = [:]
    private var timers: [TimerID] = []

    /// While true nothing is announced and nobody is answered, though the addresses are held.
    public var isQuiet = false {
        didSet {
            responder?.isQuiet = isQuiet
            if isQuiet { cancel() }
        }
    }

    /// Opens the sockets on an interface, ready before they are needed.
    ///
    /// - Throws: EPERM without CAP_NET_RAW.
    public init(_ point: AttachmentPoint, loop: EventLoop, logger: Logger) throws(Errno) {
        self.loop = loop
        self.logger = logger
        self.point = point
        socket = try PacketSocket(interfaceIndex: point.link.index)
        let mac =
            point.hasVirtualMAC
            ? HardwareAddress.virtualRouter(id: point.virtualRouterID, family: point.family)
            : HardwareAddress(bytes: point.link.hardwareAddress)
        hardwareAddress = mac
        device = point.hasVirtualMAC ? try Self.makeDevice(point, logger) : nil
        responder = try? NeighborResponder(point, hardwareAddress: mac, loop: loop)
        kernel = point.family == .ipv4 ? KernelAnswers(point.link) : nil
        needsAddressOnInterface =
            responder == nil && (point.family == .ipv6 || point.hasVirtualMAC)
        if needsAddressOnInterface {
            logger.warning(
                "[vrid \(point.virtualRouterID)] cannot answer for the \(point.family.rawValue) "
                    + "addresses on \(point.link.name): they are put on it under the lease, and "
                    + "a killed process leaves them there until it ends")
        }
    }

    deinit {
        cancel()
    }

    private static func makeDevice(
        _ point: AttachmentPoint, _ logger: Logger
    ) throws(Errno) -> VirtualMACDevice {
        do throws(VirtualAddressError) {
            return try VirtualMACDevice(point)
        } catch {
            logger.error(
                "[vrid \(point.virtualRouterID)] cannot have its own MAC address: \(error)")
            switch error {
            case .netlink(let reason): throw reason.isNotPermitted ? .notPermitted : .noSuchDevice
            case .tunnel(let reason), .virtualMAC(_, let reason): throw reason
            }
        }
    }

    /// Whether the kernel answers for addresses that are on another device than the interface.
    private var kernelAnswers: Bool {
        !point.hasVirtualMAC && kernel?.isGiven == true
    }

    /// Answers sent by this process for its addresses.
    public var answerCount: UInt64 { responder?.answerCount ?? 0 }

    /// The kernel answers for addresses that must be on the interface itself.
    public var isNeverQuiet: Bool { needsAddressOnInterface }

    /// The addresses are on this node now: questions for them are answered from here on.
    public func hold(_ addresses: [IPAddress]) {
        device?.switchOn()
        guard let responder, !kernelAnswers else { return }
        responder.isQuiet = isQuiet
        if !responder.start(addresses) {
            logger.error(
                "[vrid \(point.virtualRouterID)] cannot hear questions for the addresses on "
                    + point.link.name)
        }
    }

    /// The addresses are about to go: nothing more is said about them.
    public func letGo() {
        cancel()
        responder?.stop()
        device?.switchOff()
    }

    /// Takes the port off its loop for good.
    public func close() {
        letGo()
        device?.remove()
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
            let frame = frames[address] ?? Self.frame(address, hardwareAddress)
            frames[address] = frame
            if case .bytes = try? socket.send(frame) {
                sentCount.add()
            } else {
                failedCount.add()
            }
        }
    }

    private static func frame(_ address: IPAddress, _ mac: HardwareAddress) -> [UInt8] {
        switch address {
        case .v4(let address): GratuitousARP.frame(mac: mac, address: address)
        case .v6(let address): NeighborAdvertisement.unsolicitedFrame(mac: mac, address: address)
        }
    }
}
