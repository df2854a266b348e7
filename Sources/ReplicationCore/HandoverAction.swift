// SPDX-License-Identifier: Apache-2.0
//
// What the machine of a planned switchover asks its driver to do, and what it reports.

public import WireCore

/// One order to the driver; performed in the order given.
public enum HandoverAction: Hashable, Sendable {
    /// Tell the other node.
    case send(HandoverMessage)
    /// Old node: make the tables that pass new connections on to these seats and put them in force.
    case installOldTables(toward: [HandoverSeat])
    /// New node: make the tables that pass unknown connections on to these seats.
    case installNewTables(toward: [HandoverSeat])
    /// Remove the tables of this switchover; harmless when there are none.
    case removeTables
    /// New node: add the addresses without a sound.
    case prepareAddresses
    /// New node: take such addresses away again.
    case cancelPrepared
    /// Old node: tell clients to come back on a new connection, before the addresses move.
    case partFromClients
    /// Old node: Active no more; the addresses stay quietly for connections that go on.
    case yield(isLingering: Bool)
    /// Old node: let the connections of the addresses end and report them by the deadline.
    case drain(until: Instant)
    /// Old node: end what is left of them now, and report.
    case cutDrain
    /// Old node: the addresses are wanted again; forget the drain.
    case stopDrain
    /// Old node: give the addresses up for good.
    case endLingering
    /// Become Active now, whoever is followed.
    case takeOver
    /// Tell whoever asked.
    case report(HandoverReport)
}

/// How a switchover goes, as the node that gives sees it.
public enum HandoverReport: Hashable, Sendable {
    /// The other node does not want; nothing has changed.
    case refused(HandoverRefusal)
    /// Given up; this node has the addresses, or adverts decide.
    case failed(HandoverAbort)
    /// The link broke before anything had changed.
    case linkLost
    /// The other node serves; nobody did for `gap`.
    case moved(gap: TimeSpan, isForwarding: Bool)
    /// The last connection is gone. ``connections`` is `nil` when they were not kept.
    case finished(connections: HandoverConnections?, took: TimeSpan)
}

/// What became of the connections of the old node.
public struct HandoverConnections: Hashable, Sendable {
    /// They ended by themselves.
    public var ended: UInt32
    /// They were cut at the end of the time.
    public var cut: UInt32
    /// They go on at the other node.
    public var moved: UInt32

    /// Makes the numbers.
    public init(ended: UInt32, cut: UInt32, moved: UInt32 = 0) {
        self.ended = ended
        self.cut = cut
        self.moved = moved
    }
}
