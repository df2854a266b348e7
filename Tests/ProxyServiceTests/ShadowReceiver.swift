// SPDX-License-Identifier: Apache-2.0
//
// The other node's end of a shadow channel, played by a test: it opens each frame with the key,
// checks the numbers, and keeps what was told in order.

import Glibc
import LinuxIO
import ReplicationCore
import Synchronization
import TLSIO
import WireCore

/// What a channel told.
enum ShadowEvent: Equatable, Sendable {
    case record(UInt32, ShadowRecord)
    case snapshotBegan
    case snapshotEnded(UInt32)
    case standing(UInt64)
}

/// A channel between a worker of a test's data plane and the test.
final class ShadowReceiver: Sendable {
    /// What is known from the records so far.
    struct Heard: Sendable {
        var events: [ShadowEvent] = []
        /// Port of the client by connection.
        var ports: [UInt32: UInt16] = [:]
        var isEnded = false
        var isReset = false
        var faults: [String] = []
        fileprivate var bytes: [UInt8] = []
        fileprivate var sequence: UInt64 = 7

        /// Records of the connection from this port, oldest first.
        func records(ofPort port: UInt16) -> [ShadowRecord] {
            var found: [ShadowRecord] = []
            var owners: [UInt32: UInt16] = [:]
            for case .record(let id, let record) in events {
                if case .opened(let key, _, _, _) = record { owners[id] = key.remotePort }
                if owners[id] == port { found.append(record) }
            }
            return found
        }

        /// Connections that are known after the last snapshot.
        var openPorts: Set<UInt16> {
            var owners: [UInt32: UInt16] = [:]
            for event in events {
                switch event {
                case .snapshotBegan: owners = [:]
                case .record(let id, .opened(let key, _, _, _)): owners[id] = key.remotePort
                case .record(let id, .closed), .record(let id, .moved): owners[id] = nil
                default: break
                }
            }
            return Set(owners.values)
        }
    }

    private let key: [UInt8]
    private let socket: SocketBox
    private let state = Mutex(Heard())
    /// For the data plane.
    let grant: ShadowChannelGrant

    /// Makes a channel for a worker; `isNarrow` makes one that takes a few thousand bytes before
    /// somebody reads.
    init(worker: Int = 0, isNarrow: Bool = false) throws {
        let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        guard let endpoint = try StreamSocket.localEndpoint(listener) else {
            throw Errno(code: 22)
        }
        var options = StreamSocket.ConnectOptions()
        options.retransmissionMin = .milliseconds(10)
        let near = try StreamSocket.connect(to: endpoint, options: options)
        var far: FileDescriptor?
        _ = try eventually {
            far = try StreamSocket.accept(from: listener)?.takeSocket()
            return far != nil
        }
        guard let far else { throw TestFailure.timedOut(received: "") }
        if isNarrow {
            var byteCount: CInt = 1
            let size = socklen_t(MemoryLayout<CInt>.size)
            setsockopt(near.rawValue, SOL_SOCKET, SO_SNDBUF, &byteCount, size)
            setsockopt(far.rawValue, SOL_SOCKET, SO_RCVBUF, &byteCount, size)
        }
        var key = SecureRandom.bytes(count: FrameCipher.keyByteCount)
        key[0] = UInt8(truncatingIfNeeded: worker)
        self.key = key
        socket = SocketBox(far)
        grant = ShadowChannelGrant(near, worker: worker, key: key, nextSequence: 7)
    }

    /// Reads what is there and returns all that was heard.
    @discardableResult
    func heard() -> Heard {
        state.withLock { heard in
            read(&heard)
            return heard
        }
    }

    /// Nothing reaches this end any more, as if every packet were lost.
    func loseEverything() throws {
        try ConnectionRepair.deafen(socket.descriptor)
    }

    /// What was lost comes with the next repetition.
    func loseNothing() {
        ConnectionRepair.undeafen(socket.descriptor)
    }

    /// Ends the channel as a peer that dies.
    func close() {
        StreamSocket.shutdownWrite(socket.descriptor)
    }

    /// Records of a connection told so far.
    func records(ofPort port: UInt16?) -> [ShadowRecord] {
        guard let port else { return [] }
        return heard().records(ofPort: port)
    }

    private func read(_ heard: inout Heard) {
        while !heard.isEnded {
            do {
                guard let piece = try socket.descriptor.read(upTo: 1 << 20) else { break }
                heard.isEnded = piece.isEmpty
                heard.bytes += piece
            } catch {
                heard.isEnded = true
                heard.isReset = true
            }
        }
        while let frame = nextFrame(&heard) { open(frame, &heard) }
    }

    private func nextFrame(_ heard: inout Heard) -> [UInt8]? {
        guard heard.bytes.count >= 2 else { return nil }
        let byteCount = 2 + Int(heard.bytes[0]) << 8 + Int(heard.bytes[1])
        guard heard.bytes.count >= byteCount else { return nil }
        defer { heard.bytes.removeFirst(byteCount) }
        return Array(heard.bytes.prefix(byteCount))
    }

    private func open(_ frame: [UInt8], _ heard: inout Heard) {
        let header = frame.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let sequence = frame[4..<12].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        if sequence != heard.sequence { heard.faults.append("number \(sequence)") }
        heard.sequence += 1
        var payload = Array(frame[12..<(frame.count - FrameCipher.tagByteCount)])
        let tag = Array(frame.suffix(FrameCipher.tagByteCount))
        let cipher = FrameCipher(key: key)
        let isAuthentic = payload.withUnsafeMutableBytes { text in
            tag.withUnsafeBytes { tag in
                guard let tag = tag.baseAddress else { return false }
                return cipher.open(text, tag: tag, header: header, sequence: sequence)
            }
        }
        guard isAuthentic else {
            heard.faults.append("frame \(sequence) is not authentic")
            return
        }
        take(type: frame[3], payload, &heard)
    }

    private func take(type: UInt8, _ payload: [UInt8], _ heard: inout Heard) {
        let number = payload.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch type {
        case ShadowFrame.recordsType:
            var events: [ShadowEvent] = []
            do {
                try ShadowRecord.forEach(in: payload.span.bytes) { id, record in
                    events.append(.record(id, record))
                }
            } catch {
                heard.faults.append("\(error)")
            }
            heard.events += events
        case ShadowFrame.snapshotBeganType: heard.events.append(.snapshotBegan)
        case ShadowFrame.snapshotEndedType:
            heard.events.append(.snapshotEnded(UInt32(truncatingIfNeeded: number)))
        case ShadowFrame.standingType: heard.events.append(.standing(number))
        default: heard.faults.append("type \(type)")
        }
    }
}
