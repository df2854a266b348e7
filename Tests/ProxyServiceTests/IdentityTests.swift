// SPDX-License-Identifier: Apache-2.0
//
// Goal: backends, limits and logs count for the client and not for the proxies between; nobody but
// a trusted proxy can say who a client is or how a request is called.
// Method: requests from the loopback address with forged fields, trusted and not.

import AccessLogLaboratory
import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct IdentityTests {
    private static let loopback = IPNetwork("127.0.0.0/8")
    private static let inner = IPNetwork("10.0.0.0/8")

    private func networks(_ list: [IPNetwork?]) throws -> [IPNetwork] {
        try list.map { try #require($0) }
    }

    private func plane(
        _ backend: TestBackend, trusted: [IPNetwork], sendsForwarded: Bool = false,
        limits: [RateLimitConfiguration] = []
    ) throws -> TestPlane {
        let http = HTTPListenerConfiguration(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")],
            trustedProxies: trusted, sendsForwarded: sendsForwarded, rateLimits: limits)
        return try TestPlane(http: http, pools: [TestPlane.pool("web", [backend.endpoint])])
    }

    private static let forged =
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
        + "X-Forwarded-Host: evil.example\r\nX-Real-IP: 203.0.113.9\r\n"
        + "Forwarded: for=203.0.113.9;proto=https\r\nX-Request-Id: chosen-by-client\r\n"
        + "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        + "tracestate: a=b\r\n"

    @Test func whatStrangersSayIsReplaced() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane(backend, trusted: [])
        _ = try tandem.client().exchange("/", fields: Self.forged)
        let request = try #require(backend.log.requests.first)
        #expect(request.field("x-forwarded-for") == "127.0.0.1")
        #expect(request.field("x-forwarded-proto") == "http")
        #expect(request.field("forwarded") == nil)
        #expect(request.field("x-real-ip") != "203.0.113.9")
        #expect(!request.head.contains("evil.example"))
        #expect(!request.head.contains("203.0.113.9"))
        let id = try #require(request.field("x-request-id"))
        #expect(id.utf8.count == 32 && id.utf8.allSatisfy { isLowerHexadecimal($0) })
        let trace = try #require(request.field("traceparent"))
        #expect(trace.utf8.count == 55 && trace.hasPrefix("00-\(id)-") && trace.hasSuffix("-01"))
        #expect(request.field("tracestate") == nil)
        #expect(request.head.lowercased().split(separator: "x-request-id:").count == 2)
    }

    private func isLowerHexadecimal(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    @Test func whatTrustedProxiesSayIsKept() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane(backend, trusted: try networks([Self.loopback]))
        _ = try tandem.client().exchange("/", fields: Self.forged)
        let request = try #require(backend.log.requests.first)
        #expect(request.field("x-forwarded-for") == "203.0.113.9, 127.0.0.1")
        #expect(request.field("x-forwarded-proto") == "https")
        #expect(request.field("x-request-id") == "chosen-by-client")
        #expect(
            request.field("traceparent")
                == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        #expect(request.field("tracestate") == "a=b")
    }

    @Test(arguments: ["has space", "quo\"te", "", String(repeating: "x", count: 200)])
    func namesThatAreNoneAreMadeAnew(name: String) throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane(backend, trusted: try networks([Self.loopback]))
        let fields = "X-Request-Id: \(name)\r\ntraceparent: 00-\(name)-01\r\n"
        _ = try tandem.client().exchange("/", fields: fields)
        let request = try #require(backend.log.requests.first)
        #expect(request.field("x-request-id")?.utf8.count == 32)
        #expect(request.field("traceparent")?.utf8.count == 55)
    }

    @Test func everyRequestHasAnotherName() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let planes = try (0..<2).map { _ in try plane(backend, trusted: []) }
        for tandem in planes {
            let client = try tandem.client()
            for _ in 0..<50 { _ = try client.exchange("/") }
        }
        let names = backend.log.requests.compactMap { $0.field("x-request-id") }
        #expect(names.count == 100)
        #expect(Set(names).count == 100)
        let parents = backend.log.requests.compactMap { $0.field("traceparent")?.dropFirst(36) }
        #expect(Set(parents).count == 100)
    }

    @Test func requestThatIsSentAgainKeepsItsName() throws {
        let first = try TestBackend { request in
            request.number == 0 ? ReplyStep.ok("ok") : [.close]
        }
        let tandem = try plane(first, trusted: [])
        let client = try tandem.client()
        _ = try client.exchange("/1")
        // The second request meets a closed connection and goes out once more.
        #expect(try client.exchange("/2").status == 200)
        let names = first.log.requests.filter { $0.target == "/2" }
            .map { $0.field("x-request-id") }
        #expect(names.count == 2)
        #expect(names[0] == names[1])
    }

    @Test func everyRequestOfAProxyHasItsOwnClient() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane(
            backend, trusted: try networks([Self.loopback, Self.inner]), sendsForwarded: true)
        try tandem.reload(accessLog: file.configuration)
        let client = try tandem.client()
        for fields in [
            "X-Forwarded-For: 198.51.100.1, 10.1.1.1\r\n",
            "X-Forwarded-For: 2001:DB8::1\r\n",
            "",
            "X-Forwarded-For: 6.6.6.6, unknown, 10.9.9.9\r\n",
            "Forwarded: for=\"[2001:db8::2]:4711\", for=10.1.1.2\r\n",
            "X-Forwarded-For: 198.51.100.2\r\n",
        ] { _ = try client.exchange("/", fields: fields) }
        let lines = try file.lines(6)
        #expect(
            lines.map { $0["client"] } == [
                "198.51.100.1", "2001:db8::1", "127.0.0.1", "10.9.9.9", "2001:db8::2",
                "198.51.100.2",
            ])
        for (number, line) in lines.enumerated() where number != 2 {
            #expect(line["peer"] == "127.0.0.1")
            #expect(line["client_port"] == nil)
            #expect((line["peer_port"].flatMap { UInt16($0) } ?? 0) > 0)
        }
        #expect(lines[2]["peer"] == nil)
        #expect(lines[2]["client_port"] != nil)
        let forwarded = backend.log.requests.map { $0.field("forwarded") ?? "" }
        #expect(forwarded.allSatisfy { $0.contains("for=127.0.0.1") })
    }

    @Test func limitsCountForTheClientBehindTheProxy() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let limit = RateLimitConfiguration(
            requests: 1, per: .seconds(3_600), burst: 1, key: .client)
        let tandem = try plane(
            backend, trusted: try networks([Self.loopback]), limits: [limit])
        let client = try tandem.client()
        func status(_ address: String) throws -> Int {
            try client.exchange("/", fields: "X-Forwarded-For: \(address)\r\n").status
        }
        #expect(try status("198.51.100.1") == 200)
        #expect(try status("198.51.100.2") == 200)
        #expect(try status("198.51.100.1") == 429)
        // A client that claims to be somebody else is still itself.
        #expect(try status("198.51.100.9, 198.51.100.2") == 429)
        #expect(try status("198.51.100.3") == 200)
    }

    @Test func proxyHeaderNamesTheClient() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let http = HTTPListenerConfiguration(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")],
            trustedProxies: try networks([Self.inner]))
        let tandem = try TestPlane(
            service: .http(http), proxyProtocolSources: try networks([Self.loopback]),
            pools: [TestPlane.pool("web", [backend.endpoint])])
        try tandem.reload(accessLog: file.configuration)
        let stranger = try tandem.client()
        try stranger.send("PROXY TCP4 192.0.2.44 192.0.2.1 4000 80\r\n")
        _ = try stranger.exchange("/", fields: "X-Forwarded-For: 203.0.113.9\r\n")
        let proxy = try tandem.client()
        try proxy.send("PROXY TCP4 10.0.0.5 192.0.2.1 4001 80\r\n")
        _ = try proxy.exchange("/", fields: "X-Forwarded-For: 203.0.113.9\r\n")
        let lines = try file.lines(2)
        #expect(lines.map { $0["client"] } == ["192.0.2.44", "203.0.113.9"])
        #expect(lines[0]["client_port"] == "4000")
        #expect(lines[1]["peer"] == "10.0.0.5")
        #expect(lines[1]["peer_port"] == "4001")
        #expect(
            backend.log.requests.map { $0.field("x-forwarded-for") }
                == ["192.0.2.44", "203.0.113.9, 10.0.0.5"])
    }
}
