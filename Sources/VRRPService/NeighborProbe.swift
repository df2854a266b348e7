// SPDX-License-Identifier: Apache-2.0
//
// Asks one host of the LAN whether it is there. Has no timers and judges nothing.

public import EventLoop
public import LinuxIO
public import NetlinkIO
public import VRRPCore
public import WireCore

/// ARP requests or neighbour solicitations to one address, and its answers.
public final class NeighborProbe {
    /// Called for every answer of the target.
    public var onAnswer: ((HardwareAddress) -> Void)?

    private let target: IPAddress
    private let ownAddress: IPAddress?
    private let hardwareAddress: HardwareAddress?
    private let reader: FrameReader

    /// Opens the socket.
    ///
    /// - Parameters:
    ///   - target: who is asked.
    ///   - link: the interface.
    ///   - ownAddress: this node's own address of the same family; `nil` asks as a host without.
    ///   - loop: where answers are waited for.
    /// - Throws: EPERM without CAP_NET_RAW, ENODEV for an interface that is gone.
    public init(
        target: IPAddress, link: NetworkLink, ownAddress: IPAddress?, loop: EventLoop
    ) throws(Errno) {
        self.target = target
        self.ownAddress = ownAddress
        hardwareAddress = HardwareAddress(bytes: link.hardwareAddress)
        reader = try FrameReader(
            interfaceIndex: link.index,
            etherType: target.family == .ipv4
                ? ARPPacket.etherType : NeighborSolicitation.etherType, loop: loop)
        reader.onFrame = { [weak self] in self?.take($0) }
        guard reader.listen(NeighborFilter.frames(.claims, about: [target])) else {
            throw .noBufferSpace
        }
    }

    /// Asks once; false when the network did not take the question.
    public func probe() -> Bool {
        guard let mac = hardwareAddress else { return false }
        switch target {
        case .v4(let target):
            guard let own = ownAddress?.ipv4 else {
                return reader.send(ARPProbe.frame(mac: mac, address: target))
            }
            return reader.send(ARPRequest.frame(mac: mac, sender: own, target: target))
        case .v6(let target):
            let source = ownAddress?.ipv6 ?? .any
            return reader.send(
                NeighborSolicitation.frame(mac: mac, source: source, target: target))
        }
    }

    /// Takes the probe off its loop for good.
    public func close() {
        onAnswer = nil
        reader.stop()
    }

    private func take(_ frame: [UInt8]) {
        switch target {
        case .v4(let address):
            // Only a reply proves that the target hears us as well as we hear it.
            guard let packet = ARPPacket(frame: frame.span.bytes), packet.operation == .reply,
                packet.senderAddress == address, packet.targetMAC == hardwareAddress
            else { return }
            onAnswer?(packet.senderMAC)
        case .v6(let address):
            guard let message = try? NeighborAdvertisement(frame: frame.span.bytes),
                message.target == address, message.isSolicited || ownAddress == nil,
                let mac = message.targetMAC
            else { return }
            onAnswer?(mac)
        }
    }
}
