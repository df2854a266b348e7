// SPDX-License-Identifier: Apache-2.0
//
// A client connection by its four-tuple, and what became of it. How the worker notices is the data
// plane's.

public import WireCore

/// One client connection, as both ends of it know it; both addresses are of one family.
public struct ClientKey: Hashable, Sendable {
    /// The address the client connected to.
    public var localAddress: IPAddress
    /// The client's address.
    public var remoteAddress: IPAddress
    /// The port the client connected to.
    public var localPort: UInt16
    /// The client's port.
    public var remotePort: UInt16

    /// Names a connection.
    public init(
        localAddress: IPAddress, localPort: UInt16, remoteAddress: IPAddress,
        remotePort: UInt16
    ) {
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        self.localPort = localPort
        self.remotePort = remotePort
    }

    /// The family of the connection.
    public var family: AddressFamily { localAddress.family }
}

/// A client connection was opened or closed.
public struct ClientChange: Hashable, Sendable {
    /// The connection.
    public var key: ClientKey
    /// Whether it is open from now on.
    public var isOpen: Bool

    /// Names a change.
    public init(_ key: ClientKey, isOpen: Bool) {
        self.key = key
        self.isOpen = isOpen
    }
}

/// What one worker saw in one turn, in order.
public struct ClientChangeBatch: Sendable {
    /// Which worker.
    public var worker: UInt16
    /// The changes are every open connection of the worker; those not named are closed.
    public var isComplete: Bool
    /// What changed.
    public var changes: [ClientChange]

    /// Makes a batch.
    public init(worker: UInt16, isComplete: Bool, changes: [ClientChange]) {
        self.worker = worker
        self.isComplete = isComplete
        self.changes = changes
    }
}
