// SPDX-License-Identifier: Apache-2.0
//
// One socket of the pair link with its registration on the loop and the bytes that wait on both
// sides. Knows frames; knows no protocol.

import EventLoop
import LinuxIO
import ReplicationCore
import WireCore

/// A connected or connecting socket.
final class LinkSocket {
    /// How a socket is closed.
    enum Closing {
        /// FIN, as the kernel does for a process that died.
        case orderly
        /// RST. A living process ends its own link this way, so that the peer never mistakes it
        /// for a dead one.
        case reset
    }

    /// What reading brought.
    enum Reading {
        /// A whole frame.
        case frame(LinkFrame)
        /// Nothing more for now.
        case nothing
        /// Bytes that are no frame.
        case malformed(LinkFrameFault)
        /// A FIN behind the last byte.
        case endOfStream
        /// A reset, a time-out, an unreachable network.
        case failed(Errno)
    }

    private let loop: EventLoop
    /// The longest frame in either direction: as many bytes are taken by one read, and as many may
    /// wait to be sent.
    private let frameByteCountMax: Int
    private var descriptor: FileDescriptor?
    private var source: EventSource?
    private var received: [UInt8] = []
    /// Bytes of `received` that were handed out.
    private var takenByteCount = 0
    /// Bytes of frames handed out so far; it wraps around.
    private(set) var byteCount: UInt64 = 0
    private var unsent: [UInt8] = []
    private var hasReadEnd = false

    init(
        _ descriptor: consuming FileDescriptor, on loop: EventLoop,
        frameByteCountMax: Int = LinkProtocol.frameByteCountMax
    ) {
        self.loop = loop
        self.frameByteCountMax = frameByteCountMax
        self.descriptor = consume descriptor
    }

    deinit {
        close(.orderly)
    }

    var isOpen: Bool {
        switch descriptor {
        case .some: true
        case nil: false
        }
    }

    /// Part of a message waits for room in the kernel.
    var hasUnsent: Bool { !unsent.isEmpty }

    /// Watches the socket, or changes what it is watched for.
    func watch(_ interest: EpollInterest, handler: any EventHandler) throws(Errno) {
        switch descriptor {
        case .some(let descriptor):
            if let source {
                try loop.modify(source, of: descriptor, interest)
            } else {
                source = try loop.add(descriptor, interest, handler: handler)
            }
        case nil:
            preconditionFailure("watching a closed socket")
        }
    }

    /// The error a connection attempt ended with, or `nil` when it is up.
    func pendingError() -> Errno? {
        switch descriptor {
        case .some(let descriptor): StreamSocket.pendingError(descriptor)
        case nil: nil
        }
    }

    /// Gives the descriptor away, no longer watched; `nil` when it is closed or bytes wait to be
    /// sent.
    func takeDescriptor() -> FileDescriptor? {
        guard unsent.isEmpty else { return nil }
        switch descriptor {
        case .some(let descriptor): if let source { loop.remove(source, of: descriptor) }
        case nil: return nil
        }
        source = nil
        return descriptor.take()
    }

    /// Closes the descriptor now.
    ///
    /// Its number is free afterwards. Closing twice is allowed.
    func close(_ closing: Closing) {
        switch descriptor {
        case .some(let descriptor):
            if let source { loop.remove(source, of: descriptor) }
            if closing == .reset { StreamSocket.resetOnClose(descriptor) }
        case nil:
            return
        }
        source = nil
        _ = descriptor.take()
    }

    /// Sends what can be sent now; the rest waits for the next call.
    ///
    /// - Returns: false when an earlier message still waits and this one was not taken.
    func send(_ message: [UInt8]) throws(Errno) -> Bool {
        try flush()
        guard unsent.isEmpty else { return false }
        precondition(message.count <= frameByteCountMax, "\(message.count) bytes to send")
        unsent = message
        try flush()
        return true
    }

    /// Sends what waits, as far as there is room.
    func flush() throws(Errno) {
        guard !unsent.isEmpty else { return }
        switch descriptor {
        case .some(let descriptor):
            switch try StreamSocket.send(descriptor, unsent) {
            case .bytes(let count): unsent.removeFirst(count)
            case .wouldBlock: break
            }
        case nil:
            preconditionFailure("sending on a closed socket")
        }
    }

    /// The next frame; reads from the socket when the bytes at hand hold none.
    ///
    /// Bytes at hand never exceed one incomplete frame and one read.
    func nextFrame() -> Reading {
        while true {
            do throws(LinkFrameFault) {
                if case .frame(let frame, let count) = try decodeReceived() {
                    takenByteCount += count
                    byteCount &+= UInt64(count)
                    return .frame(frame)
                }
            } catch {
                return .malformed(error)
            }
            if hasReadEnd { return .endOfStream }
            do throws(Errno) {
                guard let bytes = try read() else { return .nothing }
                if bytes.isEmpty { hasReadEnd = true }
                received.removeFirst(takenByteCount)
                takenByteCount = 0
                received += bytes
            } catch {
                return .failed(error)
            }
        }
    }

    private func decodeReceived() throws(LinkFrameFault) -> LinkFrameDecoding {
        let bytes = received
        return try LinkFrameDecoder.decode(
            bytes.span.bytes.extracting(droppingFirst: takenByteCount),
            frameByteCountMax: frameByteCountMax)
    }

    private func read() throws(Errno) -> [UInt8]? {
        switch descriptor {
        case .some(let descriptor): try descriptor.read(upTo: frameByteCountMax)
        case nil: nil
        }
    }
}
