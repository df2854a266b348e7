// SPDX-License-Identifier: Apache-2.0
//
// What a speaker needs from the host, as protocols, so that a test can stand in for a network.

public import WireCore

/// Carries adverts between this node and the other one.
public protocol AdvertisementChannel: AnyObject {
    /// Called on the loop's thread when packets wait.
    var onReadable: (() -> Void)? { get set }
    /// Sends one VRRP message; never waits.
    ///
    /// - Returns: false when the network did not take it.
    func send(_ message: [UInt8]) -> Bool
    /// The next waiting packet with its IP header; `nil` when there is none.
    func receive() -> [UInt8]?
    /// Takes the channel off its loop; nothing is sent or received afterwards.
    func close()
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

/// Tells the LAN that addresses live here now.
public protocol AddressAnnouncing: AnyObject {
    /// Announces at once and again a few times; replaces repeats that still wait.
    func announce(_ addresses: [IPAddress])
    /// Forgets repeats that still wait.
    func cancel()
}
