// SPDX-License-Identifier: Apache-2.0
//
// What a speaker needs from the host, as protocols, so that a test can stand in for a network.

public import VRRPCore
public import WireCore

/// Carries adverts between this node and the other one.
public protocol AdvertisementChannel: AnyObject {
    /// Called on the loop's thread when packets wait; paced while a flood lasts.
    var onReadable: (() -> Void)? { get set }
    /// What the channel counted.
    var counts: ChannelCounts { get }
    /// Sends one VRRP message; never waits.
    ///
    /// - Returns: false when the network did not take it.
    func send(_ message: [UInt8]) -> Bool
    /// The next waiting packet; `nil` when there is none.
    func receive() -> CarriedPacket?
    /// An advert from this address was accepted: during a flood it must still be heard.
    func heardPeer(at address: IPAddress)
    /// Takes the channel off its loop; nothing is sent or received afterwards.
    func close()
}

/// A packet as the network carried it.
public struct CarriedPacket: Hashable, Sendable {
    /// What carried it, and what that says.
    public enum Carrier: Hashable, Sendable {
        /// IPv4: the bytes begin with its header.
        case ipv4
        /// IPv6: the bytes are the payload alone.
        case ipv6(source: IPv6Address, destination: IPv6Address, hopLimit: UInt8)
    }

    /// The bytes.
    public var bytes: [UInt8]
    /// What carried them.
    public var carrier: Carrier

    /// Describes a packet.
    public init(bytes: [UInt8], carrier: Carrier) {
        self.bytes = bytes
        self.carrier = carrier
    }
}

/// What a channel counted; all but `isShielded` only grow.
public struct ChannelCounts: Hashable, Sendable {
    /// Packets that found the socket's buffer full.
    public var kernelDropped: UInt64 = 0
    /// Times a flood made the kernel drop everything but the peer's adverts.
    public var shieldsRaised: UInt64 = 0
    /// Times wake-ups were put off because a flood passed the shield.
    public var pauses: UInt64 = 0
    /// Whether the shield is up.
    public var isShielded = false

    /// Nothing counted yet.
    public init() {}
}

/// Keeps virtual addresses on this node.
public protocol VirtualAddressControl: AnyObject {
    /// Adds the addresses, or renews them when they are there; each lives for `lease` only.
    func put(_ addresses: [IPAddress], lease: TimeSpan) throws(VirtualAddressError)
    /// Removes the addresses; missing ones are no error.
    func remove(_ addresses: [IPAddress]) throws(VirtualAddressError)
    /// Which of the addresses are not on this node's own device right now.
    func missing(among addresses: [IPAddress]) -> [IPAddress]
}

/// Tells the LAN that addresses live here now, and answers where the kernel does not.
public protocol AddressAnnouncing: AnyObject {
    /// While true nothing is announced and nobody is answered, though the addresses are held.
    var isQuiet: Bool { get set }
    /// Whether others find the addresses although `isQuiet` says no: then none may be held quietly.
    var isNeverQuiet: Bool { get }
    /// The addresses are on this node now: questions for them are answered from here on.
    func hold(_ addresses: [IPAddress])
    /// The addresses are about to go: nothing more is said about them.
    func letGo()
    /// Announces at once and again a few times; replaces repeats that still wait.
    func announce(_ addresses: [IPAddress])
    /// Forgets repeats that still wait.
    func cancel()
    /// Takes the port off its loop for good.
    func close()
}

/// Asks and listens for others that have our addresses.
public protocol AddressProbing: AnyObject {
    /// Called when another station claims one of the watched addresses; limited in rate.
    var onConflict: ((IPAddress, HardwareAddress) -> Void)? { get set }
    /// What the last probe brought.
    var verdict: ProbeVerdict { get }
    /// From now on these addresses are watched and probed, and no others.
    func watch(_ addresses: [IPAddress])
    /// Asks once who has the watched addresses.
    func probe()
    /// Takes the port off its loop for good.
    func close()
}

/// What probing for our own addresses brought.
public struct ProbeVerdict: Hashable, Sendable {
    /// When the last probe was sent; `nil` before the first.
    public var probedAt: Instant?
    /// Who else claimed an address since then.
    public var foreign: [IPAddress: HardwareAddress] = [:]
    /// Whether others had the time to answer the last probe and nobody did.
    public var isVerified = false

    /// Nothing probed yet.
    public init() {}
}
