// SPDX-License-Identifier: Apache-2.0
//
// Server-sent events and other responses without an end: each piece reaches the client before the
// next one exists.

import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct EndlessResponseTests {
    private static let request =
        "GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"

    @Test func eventsInChunksStreamAtOnce() throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        try client.send(Self.request)
        let backend = try listener.accept()
        _ = try backend.take(until: "\r\n\r\n")
        try backend.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n")
        // The head does not wait for the first event.
        #expect(try client.take(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
        for number in 0..<200 {
            let event = "data: \(number)\n\n"
            try backend.send("\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n")
            #expect(try client.take(until: "\n\n").hasSuffix(event))
            try client.expect("\r\n")
        }
        #expect(try client.isQuiet(for: .milliseconds(20)))
        try backend.send("0\r\n\r\n")
        try client.expect("0\r\n\r\n")
        // The connection goes on.
        try client.send(Self.request)
        _ = try backend.take(until: "\r\n\r\n")
    }

    @Test(arguments: [0, 1])
    func eventsUntilTheEndOfTheConnectionStreamAtOnce(minorVersion: Int) throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        try client.send("GET /events HTTP/1.\(minorVersion)\r\nHost: a\r\n\r\n")
        let backend = try listener.accept()
        _ = try backend.take(until: "\r\n\r\n")
        try backend.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        let head = ReceivedResponse(head: try client.take(until: "\r\n\r\n"))
        #expect((head.field("transfer-encoding") == "chunked") == (minorVersion == 1))
        for number in 0..<200 {
            let event = "data: \(number)\n\n"
            try backend.send(event)
            #expect(try client.take(until: "\n\n").hasSuffix(event))
            if minorVersion == 1 { try client.expect("\r\n") }
        }
        try backend.finishSending()
        if minorVersion == 1 { try client.expect("0\r\n\r\n") }
        if minorVersion == 0 { #expect(try client.end() == .ended) }
    }

    /// A byte now and then is passed on as it comes, in whichever direction.
    @Test func aRequestBodyStreamsAtOnce() throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
        let backend = try listener.accept()
        _ = try backend.take(until: "\r\n\r\n")
        for number in 0..<50 {
            try client.send([UInt8(number)])
            try backend.expect([UInt8(number)])
        }
    }
}
