// SPDX-License-Identifier: Apache-2.0
//
// What the control thread may ask of a worker.

internal import WireCore

/// A message to one worker.
enum WorkerCommand: Sendable {
    /// Serve this configuration from now on; sockets of listeners that are new come with it.
    case adopt(DataPlaneSnapshot, newSockets: [ListenerSocket])
    /// Go on serving, but part from clients between requests.
    case sayFarewell
    /// Accept nothing new, let requests in flight finish until the deadline, then cut the rest.
    case drain(deadline: Instant)
    /// Close everything and end the thread.
    case stop
}
