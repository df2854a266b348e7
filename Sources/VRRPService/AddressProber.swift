// SPDX-License-Identifier: Apache-2.0
//
// Asks the LAN who else has our addresses, and overhears others that say so. Judges nothing.

public import EventLoop
public import LinuxIO
internal import NetlinkIO
public import VRRPCore
public import WireCore

/// Watches the addresses of one virtual router while this node holds them.
public final class AddressProber: AddressProbing {
    /// How long others have to answer a probe: a host answers in well under a millisecond.
    public static let answerDelay = TimeSpan.milliseconds(50)
    /// At most one report per address in this time.
    public static let conflictInterval = TimeSpan.milliseconds(100)

    /// Called when another station claims one of the watched addresses; limited in rate.
    public var onConflict: ((IPAddress, HardwareAddress) -> Void)?
    /// What the last probe brought.
    public private(set) var verdict = ProbeVerdict()
    /// Claims of other stations that were heard.
    public private(set) var claimCount: UInt64 = 0

    private let loop: EventLoop
    private let point: AttachmentPoint
    private let reader: FrameReader
    private let hardwareAddress: HardwareAddress?
    private var addresses: [IPAddress] = []
    private var reportedAt: [IPAddress: Instant] = [:]
    private var verdictTimer: TimerID?

    /// Opens the socket, ready before it is needed.
    ///
    /// - Throws: EPERM without CAP_NET_RAW.
    public init(_ point: AttachmentPoint, loop: EventLoop) throws(Errno) {
        self.loop = loop
        self.point = point
        hardwareAddress = HardwareAddress(bytes: point.link.hardwareAddress)
        reader = try FrameReader(
            interfaceIndex: point.link.index,
            etherType: point.family == .ipv4
                ? ARPPacket.etherType : NeighborSolicitation.etherType, loop: loop)
        reader.onFrame = { [weak self] in self?.take($0) }
    }

    /// From now on these addresses are watched and probed, and no others.
    public func watch(_ addresses: [IPAddress]) {
        self.addresses = addresses
        verdict = ProbeVerdict()
        reportedAt.removeAll()
        cancelVerdict()
        reader.listen(addresses.isEmpty ? nil : NeighborFilter.frames(.claims, about: addresses))
    }

    /// Asks once who has the watched addresses.
    public func probe() {
        guard let hardwareAddress, !addresses.isEmpty else { return }
        verdict = ProbeVerdict()
        cancelVerdict()
        var isSent = true
        for address in addresses {
            isSent = reader.send(question(address, hardwareAddress)) && isSent
        }
        let now = Clock.now()
        verdict.probedAt = now
        guard isSent else { return }
        verdictTimer = loop.schedule(at: now + Self.answerDelay) { [weak self] in
            guard let self else { return }
            verdictTimer = nil
            verdict.isVerified = verdict.foreign.isEmpty
        }
    }

    /// Takes the port off its loop for good.
    public func close() {
        onConflict = nil
        cancelVerdict()
        reader.stop()
    }

    /// RFC 5227 §2.1.1: a probe claims nothing; likewise a solicitation from our own address.
    private func question(_ address: IPAddress, _ mac: HardwareAddress) -> [UInt8] {
        switch address {
        case .v4(let address):
            ARPProbe.frame(mac: mac, address: address)
        case .v6(let address):
            NeighborSolicitation.frame(
                mac: mac, source: point.ownAddress?.ipv6 ?? .any, target: address)
        }
    }

    private func cancelVerdict() {
        if let verdictTimer { loop.cancel(verdictTimer) }
        verdictTimer = nil
    }

    private func take(_ frame: [UInt8]) {
        let claim =
            switch point.family {
            case .ipv4: ARPPacket(frame: frame.span.bytes)?.claim
            case .ipv6: (try? NeighborAdvertisement(frame: frame.span.bytes))?.claim
            }
        // What this host sends is not heard here; what a switch reflects is still our own. The
        // virtual MAC is everybody's: whoever else speaks with it claims the address.
        guard let claim, claim.mac != hardwareAddress, addresses.contains(claim.address) else {
            return
        }
        claimCount &+= 1
        verdict.foreign[claim.address] = claim.mac
        verdict.isVerified = false
        let now = Clock.now()
        if let last = reportedAt[claim.address], now - last < Self.conflictInterval { return }
        reportedAt[claim.address] = now
        onConflict?(claim.address, claim.mac)
    }
}
