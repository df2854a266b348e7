// SPDX-License-Identifier: Apache-2.0
//
// The sockets that c-ares has open, watched by a loop. c-ares owns them; the loop gets owners of
// its own for the same sockets.

import CCares
import EventLoop
import LinuxIO

/// Watches sockets for what c-ares wants to hear of.
final class ChannelSockets: EventHandler {
    private final class Socket {
        let number: CInt
        let descriptor: FileDescriptor
        var source: EventSource?

        init(_ number: CInt, _ descriptor: consuming FileDescriptor) {
            self.number = number
            self.descriptor = descriptor
        }
    }

    /// Called with the sockets that can be read and written, ARES_SOCKET_BAD for none.
    var isReady: (CInt, CInt) -> Void = { _, _ in }
    private let loop: EventLoop
    private var sockets: [CInt: Socket] = [:]
    private var numbers: [EventSource: CInt] = [:]

    init(on loop: EventLoop) {
        self.loop = loop
    }

    func watch(_ number: CInt, readable: Bool, writable: Bool) {
        guard readable || writable else { return forget(number) }
        var interest: EpollInterest = []
        if readable { interest.insert(.readable) }
        if writable { interest.insert(.writable) }
        do throws(Errno) {
            if let socket = sockets[number], let source = socket.source {
                try loop.modify(source, of: socket.descriptor, interest)
                return
            }
            let socket = Socket(number, try FileDescriptor(duplicating: number))
            let source = try loop.add(socket.descriptor, interest, handler: self)
            socket.source = source
            sockets[number] = socket
            numbers[source] = number
        } catch {
            // Out of descriptors or memory: the question times out and is asked again.
            forget(number)
        }
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        guard let number = numbers[source] else { return }
        // c-ares learns of a broken socket by reading from it.
        let isReadable = !events.isDisjoint(with: [.readable, .failed, .hungUp])
        isReady(
            isReadable ? number : ARES_SOCKET_BAD,
            events.contains(.writable) ? number : ARES_SOCKET_BAD)
    }

    /// Watches nothing any more.
    func stop() {
        for number in sockets.keys { forget(number) }
        isReady = { _, _ in }
    }

    private func forget(_ number: CInt) {
        guard let socket = sockets.removeValue(forKey: number), let source = socket.source else {
            return
        }
        numbers[source] = nil
        loop.remove(source, of: socket.descriptor)
    }
}
