// SPDX-License-Identifier: Apache-2.0
//
// Answers who asks the LAN for an address that the kernel does not answer for: IPv6, whose kernel
// answers only for addresses of the interface that was asked, and IPv4 with a virtual MAC. Answers
// end with the process, and with its being frozen.

internal import EventLoop
internal import LinuxIO
internal import NetlinkIO
internal import VRRPCore
internal import WireCore

/// The answers of one virtual router.
final class NeighborResponder {
    /// Answers sent.
    private(set) var answerCount: UInt64 = 0
    /// Frames that looked like questions and were not.
    private(set) var malformedCount: UInt64 = 0
    /// While true nobody is answered.
    var isQuiet = false
    /// What answers name; `nil` on an interface without an Ethernet address.
    var hardwareAddress: HardwareAddress?

    private let reader: FrameReader
    private let interfaceIndex: Int
    private let family: AddressFamily
    private var membership: MulticastMembership?
    private var joined: Set<IPv6Address> = []
    private var addresses: Set<IPAddress> = []

    /// Opens the socket, deaf until `start`.
    ///
    /// - Throws: EPERM without CAP_NET_RAW.
    init(
        _ point: AttachmentPoint, hardwareAddress: HardwareAddress?, loop: EventLoop
    ) throws(Errno) {
        interfaceIndex = point.link.index
        family = point.family
        self.hardwareAddress = hardwareAddress
        let etherType =
            family == .ipv4 ? ARPPacket.etherType : NeighborSolicitation.etherType
        reader = try FrameReader(
            interfaceIndex: interfaceIndex, etherType: etherType, loop: loop)
        reader.onFrame = { [weak self] in self?.take($0) }
    }

    /// Answers for these addresses from now on; false when it cannot.
    func start(_ addresses: [IPAddress]) -> Bool {
        self.addresses = Set(addresses)
        guard reader.listen(NeighborFilter.frames(.questions, about: addresses)) else {
            return false
        }
        let groups = Set(addresses.compactMap(\.ipv6?.solicitedNodeGroup))
        for group in groups where !joined.contains(group) {
            // RFC 9568 §6.4.1 (155): the Active joins the solicited-node group. The interface's
            // own filter is told as well: it counts when the host has no IPv6 there.
            reader.join(hardwareGroup: HardwareAddress.multicast(group).bytes)
            join(group)
        }
        return true
    }

    /// Answers nobody any more.
    func stop() {
        reader.listen(nil)
        addresses.removeAll()
        joined.removeAll()
        // Memberships end with the socket.
        membership = nil
    }

    private func join(_ group: IPv6Address) {
        do throws(Errno) {
            if membership == nil {
                membership = try MulticastMembership(interfaceIndex: interfaceIndex)
            }
            try membership?.join(group)
            joined.insert(group)
        } catch {
            // Switches that listen to MLD may not deliver questions; others do.
        }
    }

    private func take(_ frame: [UInt8]) {
        guard !isQuiet, let hardwareAddress else { return }
        let answer =
            switch family {
            case .ipv4: arpAnswer(frame, hardwareAddress)
            case .ipv6: neighborAnswer(frame, hardwareAddress)
            }
        guard let answer else {
            malformedCount &+= 1
            return
        }
        if reader.send(answer) { answerCount &+= 1 }
    }

    private func arpAnswer(_ frame: [UInt8], _ mac: HardwareAddress) -> [UInt8]? {
        guard let question = ARPPacket(frame: frame.span.bytes), question.operation == .request,
            addresses.contains(.v4(question.targetAddress))
        else { return nil }
        // RFC 9568 §8.1.2: the Active answers ARP with the virtual MAC address.
        return ARPPacket(
            .reply, senderMAC: mac, senderAddress: question.targetAddress,
            targetMAC: question.senderMAC, targetAddress: question.senderAddress
        ).frame(to: question.senderMAC)
    }

    private func neighborAnswer(_ frame: [UInt8], _ mac: HardwareAddress) -> [UInt8]? {
        guard let question = try? NeighborSolicitation(frame: frame.span.bytes),
            addresses.contains(.v6(question.target))
        else { return nil }
        return NeighborAdvertisement.answer(to: question, mac: mac)
    }
}
