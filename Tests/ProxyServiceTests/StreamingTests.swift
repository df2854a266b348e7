// SPDX-License-Identifier: Apache-2.0
//
// Large bodies: both directions, bounded memory, and a reader that is slower than its backend.

import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct StreamingTests {
    private static let large = 64 << 20

    /// Resident memory of this process, which holds the data plane, in bytes.
    private func residentByteCount() throws -> Int {
        let text = String(
            decoding: try FileSystem.read(path: "/proc/self/statm", byteCountMax: 4_096),
            as: UTF8.self)
        return try #require(Int(text.split(separator: " ")[1])) * 4_096
    }

    @Test(arguments: [true, false])
    func largeResponseThroughASlowReaderNeedsNoMemory(hasLength: Bool) throws {
        let framing = hasLength ? "Content-Length: \(Self.large)\r\n" : ""
        let backend = try TestBackend { _ in
            [
                .text("HTTP/1.1 200 OK\r\n\(framing)\r\n"), .fill(byteCount: Self.large), .close,
            ]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        let before = try residentByteCount()
        try client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        // Nobody reads: the backend gets stuck long before its end.
        #expect(eventually { backend.log.byteCountSent > 100_000 })
        var last = -1
        #expect(
            eventually {
                defer { last = backend.log.byteCountSent }
                KernelThread.pause(milliseconds: 50)
                return backend.log.byteCountSent == last
            })
        #expect(backend.log.byteCountSent < Self.large / 2)
        // Every other request is served meanwhile.
        let other = try tandem.client()
        try other.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try other.response(to: "HEAD").status == 200)
        var total = 0
        while true {
            let count = try client.discardSome(upTo: 262_144)
            if count == 0 { break }
            total += count
        }
        #expect(total > Self.large)
        #expect(total < Self.large + 1_000)
        #expect(try residentByteCount() - before < 24 << 20)
    }

    @Test(arguments: [true, false])
    func largeRequestReachesTheBackendUnchanged(hasLength: Bool) throws {
        let backend = try TestBackend { request in
            var sum: UInt64 = 0
            for byte in request.body { sum = sum &* 31 &+ UInt64(byte) }
            return ReplyStep.ok("\(request.body.count) \(sum)")
        }
        let tandem = try TestPlane([backend.endpoint])
        var generator = SeededGenerator(seed: 7)
        let body = (0..<400_000).flatMap { _ in
            withUnsafeBytes(of: generator.next()) { Array($0) }
        }
        var sum: UInt64 = 0
        for byte in body { sum = sum &* 31 &+ UInt64(byte) }
        let client = try tandem.client()
        for _ in 0..<2 {
            if hasLength {
                try client.send(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
                try client.send(body)
            } else {
                try client.send(
                    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                var start = 0
                for size in [1, 70_000, 3, 300_000] {
                    try client.send(String(size, radix: 16) + "\r\n")
                    try client.send(Array(body[start..<start + size]))
                    try client.send("\r\n")
                    start += size
                }
                try client.send(String(body.count - start, radix: 16) + "\r\n")
                try client.send(Array(body[start...]))
                try client.send("\r\n0\r\n\r\n")
            }
            #expect(try client.response().text == "\(body.count) \(sum)")
        }
        #expect(backend.log.connectionCount == 1)
    }

    @Test func largeChunkedResponseArrivesUnchanged() throws {
        var generator = SeededGenerator(seed: 9)
        let body = (0..<250_000).flatMap { _ in
            withUnsafeBytes(of: generator.next()) { Array($0) }
        }
        var wire = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        var start = 0
        var size = 1
        while start < body.count {
            let end = min(start + size, body.count)
            wire += Array((String(end - start, radix: 16) + "\r\n").utf8)
            wire += body[start..<end] + [0x0D, 0x0A]
            start = end
            size = size * 3 % 200_003 + 1
        }
        wire += Array("0\r\n\r\n".utf8)
        let reply = wire
        let backend = try TestBackend { _ in [.send(reply)] }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<2 { #expect(try client.exchange("/").body == body) }
        #expect(backend.log.connectionCount == 1)
    }
}
