// SPDX-License-Identifier: Apache-2.0
//
// The pair link's listening socket: accepts, and knows what to do when descriptors run out.

import EventLoop
import LinuxIO
import WireCore

/// Accepts connections on the node's own address.
final class LinkListener: EventHandler {
    /// Connections accepted per event: the bound on work.
    static let acceptsPerEventMax = 16
    /// Pause after accept failed for want of descriptors or memory.
    static let pauseAfterError = TimeSpan.milliseconds(100)

    private let loop: EventLoop
    private let accepted: (consuming AcceptedConnection) -> Void
    private var descriptor: FileDescriptor?
    private var source: EventSource?
    private var resumeTimer: TimerID?

    init(
        loop: EventLoop, settings: PairLinkSettings,
        _ accepted: @escaping (consuming AcceptedConnection) -> Void
    ) throws(Errno) {
        self.loop = loop
        self.accepted = accepted
        var options = StreamSocket.ListenOptions()
        options.backlog = settings.traffic.backlog
        options.retransmissionMin = LinkTraffic.retransmissionMin
        let listening = try StreamSocket.listen(on: settings.ownListener, options: options)
        if let plan = settings.descriptors {
            descriptor = try listening.moved(to: plan.listener)
        } else {
            descriptor = consume listening
        }
        try watch()
    }

    deinit {
        close()
    }

    /// Closes the socket: the next dial is refused by the kernel.
    func close() {
        resumeTimer.map(loop.cancel)
        resumeTimer = nil
        unwatch()
        _ = descriptor.take()
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        do throws(Errno) {
            for _ in 0..<Self.acceptsPerEventMax {
                guard let connection = try acceptNext() else { return }
                accepted(connection)
            }
        } catch {
            // The waiting connection keeps the socket readable: without a pause this would spin.
            unwatch()
            resumeTimer = loop.schedule(after: Self.pauseAfterError) { [weak self] in
                self?.resume()
            }
        }
    }

    private func acceptNext() throws(Errno) -> AcceptedConnection? {
        switch descriptor {
        case .some(let descriptor): try StreamSocket.accept(from: descriptor)
        case nil: nil
        }
    }

    private func resume() {
        resumeTimer = nil
        do throws(Errno) {
            try watch()
        } catch {
            resumeTimer = loop.schedule(after: Self.pauseAfterError) { [weak self] in
                self?.resume()
            }
        }
    }

    private func watch() throws(Errno) {
        switch descriptor {
        case .some(let descriptor):
            source = try loop.add(descriptor, .readable, handler: self)
        case nil:
            break
        }
    }

    private func unwatch() {
        guard let source else { return }
        self.source = nil
        switch descriptor {
        case .some(let descriptor): loop.remove(source, of: descriptor)
        case nil: break
        }
    }
}
