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

    /// Opens the socket.
    ///
    /// - Parameters:
    ///   - target: who is asked.
    ///   - link: the interface.
    ///   - ownAddress: this node's own address of the same family; `nil` asks as a host without.
    ///   - loop: where answers are waited for.
    /// - Throws: EPERM without CAP_NET_RAW.
    public init(
        target: IPAddress, link: NetworkLink, ownAddress: IPAddress?, loop: EventLoop
    ) throws(Errno) {}

    /// Asks once; false when the network did not take the question.
    public func probe() -> Bool { false }

    /// Takes the probe off its loop for good.
    public func close() {}
}
