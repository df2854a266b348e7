// SPDX-License-Identifier: Apache-2.0
//
// Who the client is: the other end of its connection, what a PROXY header says, or what a trusted
// proxy in front of us says about each request. And how a request is called.

internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// The address that limits and logs count for: the client's own, as far as it can be known.
    @inline(__always)
    func clientAddress(of client: ClientConnection.Pointer) -> IPAddress {
        client.pointee.isTrusted ? client.pointee.foundAddress : client.pointee.source.address
    }

    /// A connection was accepted: whether its peer may speak for others is decided once.
    func noteAccepted(_ client: ClientConnection.Pointer) {
        let source = client.pointee.source.address
        client.pointee.foundAddress = source
        client.pointee.isTrusted = client.pointee.listener.pointee.trust.includes(source)
    }

    /// A PROXY header named the client of this connection.
    func noteProxySource(_ client: ClientConnection.Pointer, source: Endpoint) {
        client.pointee.source = source
        noteAccepted(client)
    }

    /// Finds the client of the request whose head was just read, and numbers the request.
    @inline(__always)
    mutating func identifyClient(_ client: ClientConnection.Pointer) {
        client.pointee.requestNumber = identities.next()
        if client.pointee.isTrusted { followForwarding(client) }
    }

    /// On a connection from a trusted proxy each request may be another client's.
    private func followForwarding(_ client: ClientConnection.Pointer) {
        let found = ClientIdentity.find(
            peer: client.pointee.source.address, request: request,
            in: client.pointee.input.message,
            trusted: client.pointee.listener.pointee.trust.networks)
        client.pointee.foundAddress = found.address
    }

    // MARK: What the backend is told

    /// Gives `body` the text of the peer's address, which `X-Forwarded-For` ends in.
    @inline(__always)
    static func withPeerText<Result>(
        _ client: ClientConnection.Pointer, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        var text = ClientAddressText(client.pointee.source.address)
        return withUnsafePointer(to: &text) { body(ClientAddressText.text(at: $0)) }
    }

    /// Adds who the client is and how the request is called to what the backend gets.
    ///
    /// `request` describes this client's request.
    @inline(__always)
    mutating func identify(
        _ client: ClientConnection.Pointer, _ rewrite: inout RequestRewrite
    ) {
        identities.write(client.pointee.requestNumber)
        if client.pointee.listener.pointee.trust.sendsForwarded { rewrite.writesForwarded = true }
        guard client.pointee.isTrusted else {
            rewrite.requestID = identities.requestID
            rewrite.traceparent = identities.traceparent
            return
        }
        rewrite.trustsPeer = true
        let input = client.pointee.input.message
        if givenRequestID(input) == nil { rewrite.requestID = identities.requestID }
        if givenTraceparent(input) == nil { rewrite.traceparent = identities.traceparent }
    }

    /// The `X-Request-Id` that came, when it is one.
    private func givenRequestID(_ input: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let value = request.value(of: .xRequestID)?.bytes(in: input),
            !request.isRepeated(.xRequestID), RequestIdentifier.isValid(value)
        else { return nil }
        return value
    }

    /// The `traceparent` that came, when it is one.
    private func givenTraceparent(_ input: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let value = request.value(of: .traceparent)?.bytes(in: input),
            !request.isRepeated(.traceparent), TraceContext.isValid(value)
        else { return nil }
        return value
    }

    // MARK: What the log is told

    /// Adds the names of the request, as the backend gets them.
    mutating func describeIdentity(
        _ client: ClientConnection.Pointer, _ entry: inout AccessLogRequest
    ) {
        identities.write(client.pointee.requestNumber)
        entry.requestID = identities.requestID
        var trace = identities.traceparent
        if client.pointee.isTrusted {
            let input = client.pointee.input.message
            if let given = givenRequestID(input) { entry.requestID = given }
            if let given = givenTraceparent(input) { trace = given }
        }
        entry.traceID = UnsafeRawBufferPointer(
            rebasing: trace[RequestIdentities.traceIDRange])
    }

    /// Adds the client's port, and the connection's other end when that is not the client.
    func describePeer(_ client: ClientConnection.Pointer, _ entry: inout AccessLogRequest) {
        let source = client.pointee.source
        guard client.pointee.isTrusted, client.pointee.foundAddress != source.address else {
            entry.clientPort = source.port
            return
        }
        // The port belongs to the proxy's connection, not to the client's.
        let room = accessDesk.scratch
        guard let count = AddressText.write(source.address, into: room) else { return }
        entry.peer = UnsafeRawBufferPointer(rebasing: room[..<count])
        entry.peerPort = source.port
    }
}
