// SPDX-License-Identifier: Apache-2.0
//
// One connection attempt to the peer's listener, to learn whether a process stands behind it.
// Sends nothing; what its result means is the liveness machine's.

import EventLoop
import LinuxIO
import ReplicationCore
import WireCore

/// Dials once and reports what the peer's kernel says.
final class PeerProbe: EventHandler {
    private let loop: EventLoop
    private let report: (ProbeResult) -> Void
    private var socket: LinkSocket?
    private var isConnected = false

    init(on loop: EventLoop, _ report: @escaping (ProbeResult) -> Void) {
        self.loop = loop
        self.report = report
    }

    /// Sends the SYN; results come later, or at once when the kernel knows already.
    func start(settings: PairLinkSettings) {
        var options = StreamSocket.ConnectOptions()
        options.source = settings.dialSource
        do throws(Errno) {
            let socket = LinkSocket(
                try StreamSocket.connect(to: settings.peerListener, options: options), on: loop)
            try socket.watch([.writable], handler: self)
            self.socket = socket
        } catch {
            report(Self.result(of: error))
        }
    }

    /// Ends the attempt without a result.
    func cancel() {
        socket?.close(.orderly)
        socket = nil
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        guard let socket else { return }
        if isConnected {
            // The peer has nothing to say to a probe: whatever comes is the end of it.
            finish(.closedAfterConnect)
            return
        }
        if let error = socket.pendingError() {
            finish(Self.result(of: error))
            return
        }
        isConnected = true
        do throws(Errno) {
            try socket.watch([.readable, .peerClosed], handler: self)
            report(.connected)
        } catch {
            finish(.failed)
        }
    }

    /// A RST that answers the SYN is ECONNREFUSED; ECONNRESET and EPIPE mean that the connection
    /// was up before it was closed, which may all happen before this loop gets to look.
    private static func result(of error: Errno) -> ProbeResult {
        switch error {
        case .connectionRefused: .refused
        case .connectionReset, .brokenPipe: .closedAfterConnect
        default: .failed
        }
    }

    private func finish(_ result: ProbeResult) {
        cancel()
        report(result)
    }
}
