// SPDX-License-Identifier: Apache-2.0
//
// One c-ares channel on an event loop: its sockets become registrations, its timeouts a timer. It
// never waits. What answers mean is Resolver's.

import CCares
import EventLoop
import LinuxIO
import WireCore

/// How c-ares ended one question.
enum ChannelAnswer {
    /// A message that answers the question.
    case message([UInt8])
    /// Another status (ARES_*).
    case status(CInt)
}

/// Asks questions; belongs to the thread of its loop.
///
/// c-ares calls back from deep inside its own work, where it must not be entered again. So answers
/// are only collected there and handed out when c-ares has returned.
final class Channel {
    /// The buffer that servers are told to expect (RFC 6891 §6.2.3), small enough not to be cut
    /// into fragments on any usual path.
    static let messageByteCountMax: CInt = 1_232

    private let handle: OpaquePointer
    private let loop: EventLoop
    private let sockets: ChannelSockets
    private var timer: TimerID?
    private var finished: [(question: Question, answer: ChannelAnswer)] = []
    private var isSettling = false
    private var isRetired = false
    private var isStopped = false
    /// Questions that have not ended.
    private(set) var openCount = 0

    /// Whether the library is ready; it must be told once in a process.
    private static let aresStatus = ares_library_init(ARES_LIB_INIT_ALL)

    init(_ settings: ResolverSettings, on loop: EventLoop) throws(ResolverError) {
        try Self.check(Self.aresStatus)
        self.loop = loop
        let sockets = ChannelSockets(on: loop)
        self.sockets = sockets
        handle = try Self.make(settings, sockets)
        sockets.isReady = { [weak self] readable, writable in
            self?.process(readable, writable)
        }
    }

    deinit {
        precondition(isStopped, "a channel is stopped before it is let go")
    }

    private static func check(_ status: CInt) throws(ResolverError) {
        guard status == ARES_SUCCESS else {
            throw ResolverError(description: String(cString: ares_strerror(status)).lowercased())
        }
    }

    private static func make(
        _ settings: ResolverSettings, _ sockets: ChannelSockets
    ) throws(ResolverError) -> OpaquePointer {
        var options = ares_options()
        // Aliases from a file that an environment variable names are nobody's intention here.
        options.flags = ARES_FLAG_NOALIASES | ARES_FLAG_EDNS
        options.timeout = CInt(clamping: max(1, settings.tryTimeout.milliseconds))
        options.tries = CInt(clamping: max(1, settings.tries))
        options.ednspsz = messageByteCountMax
        options.sock_state_cb = noteSocket
        options.sock_state_cb_data = Unmanaged.passUnretained(sockets).toOpaque()
        let mask =
            ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ
            | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF | ARES_OPT_LOOKUPS
        var handle: ares_channel?
        var path = settings.serversPath.utf8CString
        var lookups = "b".utf8CString
        // c-ares copies what these point to.
        let status = path.withUnsafeMutableBufferPointer { path in
            lookups.withUnsafeMutableBufferPointer { lookups in
                options.resolvconf_path = path.baseAddress
                options.lookups = lookups.baseAddress
                return ares_init_options(&handle, &options, mask)
            }
        }
        try check(status)
        guard let handle else { throw ResolverError(description: "no channel") }
        if !settings.servers.isEmpty {
            let list = settings.servers.map(\.description).joined(separator: ",")
            let status = ares_set_servers_ports_csv(handle, list)
            guard status == ARES_SUCCESS else {
                ares_destroy(handle)
                throw ResolverError(description: String(cString: ares_strerror(status)))
            }
        }
        return handle
    }

    /// Asks for records of class IN; `done` is called once, never before this returns.
    ///
    /// A name without a last dot may be completed by the search list (resolv.conf(5)).
    func ask(_ name: String, type: UInt16, _ done: @escaping (ChannelAnswer) -> Void) {
        precondition(!isStopped && !isRetired, "asking a channel that is done")
        openCount += 1
        let question = Unmanaged.passRetained(Question(self, done))
        ares_search(handle, name, 1, CInt(type), takeAnswer, question.toOpaque())
        guard !isSettling else { return }
        // Answers that come at once are handed out from the loop, like all others.
        if !finished.isEmpty { loop.schedule(at: loop.now) { [weak self] in self?.settle() } }
        arm()
    }

    /// Ends once the questions asked so far have ended; asked no more.
    func retire() {
        isRetired = true
        if openCount == 0 { stop() }
    }

    /// Ends every question as cancelled, without a call, and lets the sockets go.
    func stop() {
        guard !isStopped else { return }
        isStopped = true
        if let timer { loop.cancel(timer) }
        timer = nil
        ares_destroy(handle)
        finished.removeAll()
        sockets.stop()
    }

    fileprivate func take(_ question: Question, _ answer: ChannelAnswer) {
        finished.append((question, answer))
    }

    private func process(_ readable: CInt, _ writable: CInt) {
        guard !isStopped else { return }
        ares_process_fd(handle, readable, writable)
        settle()
    }

    /// Hands out answers; those who get them may ask again or stop the channel.
    private func settle() {
        guard !isSettling else { return }
        isSettling = true
        defer { isSettling = false }
        while !isStopped, !finished.isEmpty {
            let batch = finished
            finished = []
            openCount -= batch.count
            for (question, answer) in batch where !isStopped { question.done(answer) }
        }
        if isRetired, openCount == 0 { stop() }
        arm()
    }

    /// Sets the timer for the earliest timeout of c-ares.
    private func arm() {
        if let timer { loop.cancel(timer) }
        timer = nil
        guard !isStopped else { return }
        var wait = timeval()
        guard ares_timeout(handle, nil, &wait) != nil else { return }
        // One more millisecond: woken too early, c-ares would only ask to be woken again.
        let span =
            TimeSpan.seconds(UInt64(max(0, wait.tv_sec)))
            + .microseconds(UInt64(max(0, wait.tv_usec))) + .milliseconds(1)
        timer = loop.schedule(at: Clock.now() + span) { [weak self] in
            self?.timer = nil
            self?.process(ARES_SOCKET_BAD, ARES_SOCKET_BAD)
        }
    }
}

/// A question that c-ares holds until it has ended.
private final class Question {
    let channel: Channel
    let done: (ChannelAnswer) -> Void

    init(_ channel: Channel, _ done: @escaping (ChannelAnswer) -> Void) {
        self.channel = channel
        self.done = done
    }
}

/// c-ares calls this once for each question, from inside any call to it.
private func takeAnswer(
    _ context: UnsafeMutableRawPointer?, _ status: CInt, _ timeouts: CInt,
    _ bytes: UnsafeMutablePointer<UInt8>?, _ byteCount: CInt
) {
    guard let context else { return }
    let question = Unmanaged<Question>.fromOpaque(context).takeRetainedValue()
    if status == ARES_SUCCESS, let bytes, byteCount > 0 {
        let copy = Array(UnsafeBufferPointer(start: bytes, count: Int(byteCount)))
        question.channel.take(question, .message(copy))
    } else {
        question.channel.take(question, .status(status))
    }
}

/// c-ares calls this when a socket appears, is watched for something else, or is about to close.
private func noteSocket(
    _ context: UnsafeMutableRawPointer?, _ socket: CInt, _ readable: CInt, _ writable: CInt
) {
    guard let context else { return }
    Unmanaged<ChannelSockets>.fromOpaque(context).takeUnretainedValue()
        .watch(socket, readable: readable != 0, writable: writable != 0)
}
