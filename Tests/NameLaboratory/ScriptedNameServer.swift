// SPDX-License-Identifier: Apache-2.0
//
// A name server on a loop and a port of its own, that does what it is told for each name.

public import EventLoop
internal import Glibc
public import LinuxIO
public import WireCore

/// Answers on 127.0.0.1 over UDP and TCP, from the loop of whoever asks.
public final class ScriptedNameServer: EventHandler {
    private struct Key: Hashable {
        var name: String
        var type: UInt16
    }

    private final class Socket {
        let descriptor: FileDescriptor
        let source: EventSource
        var received: [UInt8] = []

        init(_ descriptor: consuming FileDescriptor, _ source: EventSource) {
            self.descriptor = descriptor
            self.source = source
        }
    }

    /// Where it listens.
    public let endpoint: Endpoint
    /// What it was asked, in order.
    public private(set) var queries: [NameServerQuery] = []
    private let loop: EventLoop
    private var script: [Key: NameServerReply] = [:]
    private var datagrams: Socket?
    private var listener: Socket?
    private var streams: [EventSource: Socket] = [:]

    /// Listens at a free port; a port of an earlier server may be asked for again.
    public init(on loop: EventLoop, port: UInt16 = 0) throws {
        self.loop = loop
        let number = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        let datagram = FileDescriptor(owning: number)
        // A port that is free for streams may be taken for datagrams.
        let wanted = Endpoint(address: .v4(.loopback), port: port)
        var stream = try StreamSocket.listen(on: wanted)
        var bound = try StreamSocket.localEndpoint(stream) ?? wanted
        var triesLeft = port == 0 ? 100 : 1
        while !Self.bind(number, bound.port) {
            triesLeft -= 1
            precondition(triesLeft > 0, "no port on the loopback address")
            stream = try StreamSocket.listen(on: wanted)
            bound = try StreamSocket.localEndpoint(stream) ?? wanted
        }
        endpoint = bound
        let first = try loop.add(datagram, .readable, handler: self)
        datagrams = Socket(datagram, first)
        let second = try loop.add(stream, .readable, handler: self)
        listener = Socket(stream, second)
    }

    private static func bind(_ number: Int32, _ port: UInt16) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(number, $0, size)
            }
        }
        return result == 0
    }

    /// What to do from now on when asked for a name.
    public func script(_ name: String, _ type: UInt16, _ reply: NameServerReply) {
        script[Key(name: name, type: type)] = reply
    }

    /// A and AAAA at once; without AAAA records there are none.
    public func host(
        _ name: String, _ a: [NameServerRecord], _ aaaa: [NameServerRecord] = []
    ) {
        script(name, 1, .records(a))
        script(name, 28, .records(aaaa))
    }

    /// The same reply for A and AAAA.
    public func host(_ name: String, _ reply: NameServerReply) {
        script(name, 1, reply)
        script(name, 28, reply)
    }

    /// How often it was asked for a name.
    public func count(_ name: String, _ type: UInt16) -> Int {
        queries.filter { $0.name == name && $0.type == type }.count
    }

    /// Closes everything: nobody listens at its port any more.
    public func stop() {
        for socket in [datagrams, listener].compactMap({ $0 }) + streams.values {
            loop.remove(socket.source, of: socket.descriptor)
        }
        datagrams = nil
        listener = nil
        streams = [:]
    }

    /// Answers whoever asked.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        if let datagrams, source == datagrams.source {
            takeDatagrams(datagrams.descriptor.rawValue)
        } else if let listener, source == listener.source {
            takeConnections(listener)
        } else if let stream = streams[source] {
            takeStream(stream)
        }
    }

    private func reply(to query: NameServerQuery) -> NameServerReply {
        queries.append(query)
        return script[Key(name: query.name, type: query.type)] ?? .code(3)
    }

    private func takeDatagrams(_ number: Int32) {
        var buffer = [UInt8](repeating: 0, count: 2_048)
        var peer = sockaddr_storage()
        while datagrams != nil {
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(number, &buffer, buffer.count, 0, $0, &length)
                }
            }
            guard count > 0 else { return }
            guard let query = NameServerQuery(buffer[..<count], isStream: false) else { continue }
            for message in messages(query, reply(to: query)) {
                send(message.bytes, message.isFromElsewhere ? nil : number, to: &peer, length)
            }
        }
    }

    /// Sends from a socket, or from one of its own that nobody was connected to.
    private func send(
        _ bytes: [UInt8], _ number: Int32?, to peer: inout sockaddr_storage, _ length: socklen_t
    ) {
        let own = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { Glibc.close(own) }
        _ = withUnsafePointer(to: &peer) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(number ?? own, bytes, bytes.count, 0, $0, length)
            }
        }
    }

    private func messages(
        _ query: NameServerQuery, _ reply: NameServerReply
    ) -> [(bytes: [UInt8], isFromElsewhere: Bool)] {
        switch reply {
        case .records(let records):
            return [(NameServerReply.message(to: query, records: records), false)]
        case .code(let code):
            return [(NameServerReply.message(to: query, flags: 0x8180 | UInt16(code)), false)]
        case .silence:
            return []
        case .garbage(let bytes):
            return [(bytes, false)]
        case .broken:
            let whole = NameServerReply.message(to: query, records: [.a(1), .a(2)])
            return [(Array(whole.dropLast(7)), false)]
        case .forgedThen(let lies, let truth):
            var other = query
            other.id ^= 0x5555
            var elsewhere = query
            elsewhere.question = NameServerReply.wireName("other.test") + query.question.suffix(4)
            return [
                (NameServerReply.message(to: other, records: lies), false),
                (NameServerReply.message(to: elsewhere, records: lies), false),
                (NameServerReply.message(to: query, records: lies), true),
                (NameServerReply.message(to: query, records: truth), false),
            ]
        case .truncated(let records):
            return query.isStream
                ? [(NameServerReply.message(to: query, records: records), false)]
                : [(NameServerReply.message(to: query, flags: 0x8380), false)]
        case .truncatedForEver:
            return query.isStream
                ? [] : [(NameServerReply.message(to: query, flags: 0x8380), false)]
        }
    }

    private func takeConnections(_ listener: Socket) {
        while let accepted = try? StreamSocket.accept(from: listener.descriptor) {
            let socket = accepted.takeSocket()
            guard let source = try? loop.add(socket, .readable, handler: self) else { continue }
            streams[source] = Socket(socket, source)
        }
    }

    private func takeStream(_ stream: Socket) {
        guard let bytes = try? stream.descriptor.read(upTo: 4_096), !bytes.isEmpty else {
            return close(stream)
        }
        stream.received += bytes
        while stream.received.count >= 2 {
            let end = 2 + Int(stream.received[0]) << 8 + Int(stream.received[1])
            guard stream.received.count >= end else { return }
            let query = NameServerQuery(stream.received[2..<end], isStream: true)
            stream.received.removeFirst(end)
            guard let query else { continue }
            let messages = messages(query, reply(to: query))
            // Who says nothing over TCP hangs up.
            if messages.isEmpty { return close(stream) }
            for message in messages {
                let length = UInt16(message.bytes.count)
                _ = try? StreamSocket.send(
                    stream.descriptor, NameServerReply.bytes(length) + message.bytes)
            }
        }
    }

    private func close(_ stream: Socket) {
        guard streams.removeValue(forKey: stream.source) != nil else { return }
        loop.remove(stream.source, of: stream.descriptor)
    }
}
