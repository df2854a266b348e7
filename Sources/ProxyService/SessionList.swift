// SPDX-License-Identifier: Apache-2.0
//
// Who is connected at this moment: workers write down their clients when they are asked, the
// control thread reads the list. Nothing is kept for it between questions.

internal import LinuxIO
internal import Synchronization
public import WireCore

/// A client connection at one moment.
public struct SessionDescription: Hashable, Sendable {
    /// What the connection is doing.
    public enum Activity: String, Hashable, Sendable {
        /// It is between two requests.
        case idle
        /// A head is arriving.
        case reading
        /// A request waits for a backend with room, or for its next attempt.
        case queued
        /// A request is with a backend.
        case exchanging
        /// An answer is being written, or a body thrown away.
        case answering
        /// Bytes pass unread: a WebSocket or a TCP connection.
        case tunnel
        /// It is about to close.
        case closing
    }

    /// Worker and slot: names the connection as long as it lives.
    public var identifier: String
    /// The listener that accepted it.
    public var listener: String
    /// The client's address and port.
    public var client: Endpoint
    /// What it does.
    public var activity: Activity
    /// The pool of the request in progress.
    public var pool: String?
    /// The backend of the request in progress.
    public var backend: String?
    /// Requests begun on it.
    public var requestCount: UInt32
    /// Since when the present activity lasts, or the last request began.
    public var age: TimeSpan
}

/// Collects what the workers write; answers when all have.
final class SessionCollector: Sendable {
    private struct State {
        var sessions: [SessionDescription] = []
        var omittedCount = 0
        var missingWorkerCount: Int
    }

    private let state: Mutex<State>
    private let sessionCountMax: Int

    init(workerCount: Int, sessionCountMax: Int) {
        self.sessionCountMax = sessionCountMax
        state = Mutex(State(missingWorkerCount: workerCount))
    }

    /// Room for so many is left; a worker writes down no more than that.
    var room: Int { state.withLock { max(0, sessionCountMax - $0.sessions.count) } }

    /// A worker reports; `omittedCount` of its clients are not among `sessions`.
    func report(_ sessions: [SessionDescription], omittedCount: Int) {
        state.withLock { state in
            let taken = sessions.prefix(max(0, sessionCountMax - state.sessions.count))
            state.sessions += taken
            state.omittedCount += omittedCount + sessions.count - taken.count
            state.missingWorkerCount -= 1
        }
    }

    var isComplete: Bool { state.withLock { $0.missingWorkerCount == 0 } }

    var result: (sessions: [SessionDescription], omittedCount: Int) {
        state.withLock { ($0.sessions, $0.omittedCount) }
    }
}

extension DataPlane {
    /// Client connections that one answer lists.
    public static let sessionCountMax = 10_000
    /// How long workers may take to answer.
    private static let sessionWaitMax = TimeSpan.milliseconds(250)

    /// Lists client connections, and counts those that are left out.
    ///
    /// Waits until the workers have answered, a moment as a rule; one that is stuck is left out
    /// after 250 ms. For an operator's question, not for every scrape.
    public func sessions() -> (sessions: [SessionDescription], omittedCount: Int) {
        let collector = SessionCollector(
            workerCount: workerCount, sessionCountMax: Self.sessionCountMax)
        post(.listSessions(collector))
        let deadline = Clock.now() + Self.sessionWaitMax
        while !collector.isComplete, Clock.now() < deadline {
            KernelThread.pause(milliseconds: 1)
        }
        return collector.result
    }
}

extension Worker {
    /// Writes down this worker's clients.
    func listSessions(for collector: SessionCollector) {
        var sessions: [SessionDescription] = []
        let room = collector.room
        var omittedCount = 0
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot) else { continue }
            guard sessions.count < room else {
                omittedCount += 1
                continue
            }
            sessions.append(describe(client, slot: slot))
        }
        collector.report(sessions, omittedCount: omittedCount)
    }

    private func describe(
        _ client: ClientConnection.Pointer, slot: Int
    ) -> SessionDescription {
        let backend = client.pointee.upstream.map { $0.pointee.backend.pointee.nameText }
        return SessionDescription(
            identifier: "\(setup.index)-\(slot)-\(clients.generation(of: client))",
            listener: client.pointee.listener.pointee.identity.name,
            client: client.pointee.source, activity: activity(of: client),
            pool: client.pointee.pool.map { $0.pointee.name },
            backend: backend.map { String(decoding: $0, as: UTF8.self) },
            requestCount: client.pointee.requestCount,
            age: now - client.pointee.requestBegan)
    }

    private func activity(of client: ClientConnection.Pointer) -> SessionDescription.Activity {
        switch client.pointee.phase {
        case .readingProxyHeader: .reading
        case .readingHead: client.pointee.input.isEmpty ? .idle : .reading
        case .moving: .closing
        case .opening, .waiting, .pausing: .queued
        case .exchanging: .exchanging
        case .finishing, .discarding: .answering
        case .tunnelling: .tunnel
        case .lingering: .closing
        }
    }
}
