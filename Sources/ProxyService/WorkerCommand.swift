// SPDX-License-Identifier: Apache-2.0
//
// What the control thread may ask of a worker.

internal import LinuxIO
internal import WireCore

/// A message to one worker.
enum WorkerCommand: Sendable {
    /// Serve this configuration from now on; sockets of listeners that are new come with it.
    case adopt(DataPlaneSnapshot, newSockets: [ListenerSocket])
    /// There may be room for requests that wait.
    case lookForRoom
    /// Somebody waits for connections that idle here.
    case yieldConnections
    /// Go on serving, but part from clients between requests.
    case sayFarewell
    /// Each client's next answer is its last here; close who idles, but not at once. Whoever can be
    /// moved waits for that instead.
    case beginParting(moving: Bool)
    /// The other node takes connections from now on.
    case moveClients
    /// Who is still connected may stay.
    case endParting
    /// Serve these connections, which began at the other node.
    case adoptClients([AdoptedClient])
    /// Another node has these connections: end them without a word.
    case surrender(SurrenderOrder)
    /// Tell the other node about client connections from now on.
    case openShadowChannel(ShadowChannelGrant)
    /// Close idle connections to these backends.
    case closeIdle([SharedBackend])
    /// Close connections to these backends that have work; tunnels when asked.
    case cut([SharedBackend], tunnelsToo: Bool)
    /// Accept nothing new, let requests in flight finish until the deadline, then cut the rest.
    case drain(deadline: Instant)
    /// Write down the clients of this moment.
    case listSessions(SessionCollector)
    /// Close everything and end the thread.
    case stop
}
