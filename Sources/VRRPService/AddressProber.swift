// SPDX-License-Identifier: Apache-2.0
//
// Asks the LAN who else has our addresses, and overhears others that say so. Judges nothing.

public import EventLoop
public import LinuxIO
public import VRRPCore
public import WireCore

/// Watches the addresses of one virtual router while this node holds them.
public final class AddressProber: AddressProbing {
    /// Called when another station claims one of the watched addresses; limited in rate.
    public var onConflict: ((IPAddress, HardwareAddress) -> Void)?
    /// What the last probe brought.
    public private(set) var verdict = ProbeVerdict()

    /// Opens the socket, ready before it is needed.
    ///
    /// - Throws: EPERM without CAP_NET_RAW.
    public init(_ point: AttachmentPoint, loop: EventLoop) throws(Errno) {}

    /// From now on these addresses are watched and probed, and no others.
    public func watch(_ addresses: [IPAddress]) {}

    /// Asks once who has the watched addresses.
    public func probe() {}

    /// Takes the port off its loop for good.
    public func close() {}
}
