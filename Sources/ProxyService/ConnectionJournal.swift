// SPDX-License-Identifier: Apache-2.0
//
// Which clients are connected to addresses that may move to another host: each worker writes down
// what it opened and closed, once a turn. Who reads it is the owner's business.

public import EventLoop
public import LinuxIO
public import ReplicationCore
public import WireCore

/// Where workers report the connections of watched addresses.
public final class ConnectionJournal: Sendable {
    /// The reports of all workers, each worker's in order.
    ///
    /// A worker whose report is refused because the mailbox is full drops it, and reports every
    /// open connection as soon as there is room.
    public let mailbox: Mailbox<ClientChangeBatch>
    private let addresses: [IPAddress]

    /// Makes a journal for connections to `addresses`.
    ///
    /// - Parameters:
    ///   - addresses: which connections are reported.
    ///   - capacity: how many reports may wait.
    /// - Throws: EMFILE and the like when no descriptor can be had.
    public init(watching addresses: [IPAddress], capacity: Int = 4_096) throws(Errno) {
        self.addresses = addresses
        mailbox = try Mailbox(capacity: capacity)
    }

    /// Names an accepted connection; `nil` when it is not to a watched address.
    ///
    /// A listener on one address says itself where its connections arrive; only one on every
    /// address has to ask the kernel.
    func key(
        of socket: borrowing FileDescriptor, peer: Endpoint?, bind: Endpoint
    ) -> ClientKey? {
        guard let peer else { return nil }
        var local = bind
        if bind.address.isAny || bind.port == 0 {
            guard let endpoint = try? StreamSocket.localEndpoint(socket) else { return nil }
            local = endpoint
        }
        guard local.address.family == peer.address.family, addresses.contains(local.address) else {
            return nil
        }
        return ClientKey(
            localAddress: local.address, localPort: local.port, remoteAddress: peer.address,
            remotePort: peer.port)
    }
}

extension Worker {
    /// How long a worker whose report was refused waits before it reports everything.
    static let journalPause = TimeSpan.milliseconds(100)

    /// Writes down an accepted connection.
    @inline(__always)
    mutating func noteOpened(_ client: ClientConnection.Pointer, peer: Endpoint?) {
        guard let journal = setup.journal else { return }
        let bind = client.pointee.listener.pointee.identity.bind
        guard let key = journal.key(of: client.pointee.socket, peer: peer, bind: bind) else {
            return
        }
        client.pointee.journalKey = key
        journalChanges.append(ClientChange(key, isOpen: true))
    }

    /// Writes down that a connection closes.
    @inline(__always)
    mutating func noteClosed(_ client: ClientConnection.Pointer) {
        guard let key = client.pointee.journalKey else { return }
        journalChanges.append(ClientChange(key, isOpen: false))
    }

    /// Hands this turn's changes over; called when there are some or a report is owed.
    mutating func handOverJournal() {
        guard let journal = setup.journal, !owesJournal || now >= journalResumes else { return }
        let worker = UInt16(truncatingIfNeeded: setup.index)
        let changes = owesJournal ? openConnections() : journalChanges
        journalChanges = []
        let batch = ClientChangeBatch(
            worker: worker, isComplete: owesJournal, changes: changes)
        owesJournal = !journal.mailbox.post(batch)
        if owesJournal { journalResumes = now + Self.journalPause }
    }

    private func openConnections() -> [ClientChange] {
        var changes: [ClientChange] = []
        for slot in 0..<clients.slotEnd {
            guard let key = clients.record(slot: slot)?.pointee.journalKey else { continue }
            changes.append(ClientChange(key, isOpen: true))
        }
        for slot in 0..<upstreams.slotEnd {
            guard let key = upstreams.record(slot: slot)?.pointee.tunnel.journalKey else {
                continue
            }
            changes.append(ClientChange(key, isOpen: true))
        }
        return changes
    }
}
