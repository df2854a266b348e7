// SPDX-License-Identifier: Apache-2.0
//
// Rate limits through real sockets: keys, answers, workers that share buckets, reloads that keep
// them.

import ConfigurationCore
import ProxyService
import Telemetry
import Testing
import WireCore

@Suite(.serialized)
struct RateLimitTests {
    /// A limit that gives nothing back while a test runs.
    private func limit(_ burst: Int, _ key: RateLimitConfiguration.Key) -> RateLimitConfiguration {
        RateLimitConfiguration(requests: 1, per: .seconds(86_400), burst: burst, key: key)
    }

    private func route(
        _ path: String, _ limits: [RateLimitConfiguration] = []
    ) -> RouteConfiguration {
        RouteConfiguration(
            match: RouteMatch(path: .prefix(path)),
            action: .respond(FixedResponseConfiguration(body: "ok")), rateLimits: limits)
    }

    private func plane(_ http: HTTPListenerConfiguration, workers: Int = 1) throws -> TestPlane {
        try TestPlane(http: http, pools: [TestPlane.pool("web", [])], workers: workers)
    }

    @Test func clientsOverTheirRateAreTold() throws {
        let http = HTTPListenerConfiguration(
            routes: [route("/")],
            rateLimits: [
                RateLimitConfiguration(
                    requests: 1, per: .seconds(90), burst: 3, key: .client)
            ],
            errorPages: [ErrorPage(status: 429, contentType: "text/html", body: "slow down")])
        let tandem = try plane(http)
        let client = try tandem.client()
        for _ in 0..<3 { #expect(try client.exchange("/").status == 200) }
        let refused = try client.exchange("/", method: "POST", body: "body")
        #expect(refused.status == 429)
        #expect(refused.text == "slow down")
        let wait = try #require(refused.field("retry-after").flatMap { Int($0) })
        #expect((80...90).contains(wait))
        // The connection goes on, and another one of the same client is limited too.
        #expect(try client.exchange("/").status == 429)
        #expect(try tandem.client().exchange("/").status == 429)
        let rows = tandem.plane.rateLimitStatistics()
        #expect(rows.map(\.refused) == [3])
        #expect(rows[0].route == nil && rows[0].key == "client")
        var text = MetricsText()
        tandem.plane.collect(into: &text)
        #expect(
            text.rendered.contains(
                "tandem_rate_limited_requests_total{listener=\"web\",route=\"any\","
                    + "limit=\"1\",key=\"client\"} 3"))
    }

    @Test func waitsBelowASecondAreTold() throws {
        let http = HTTPListenerConfiguration(
            routes: [route("/")],
            rateLimits: [
                RateLimitConfiguration(requests: 2, per: .seconds(1), burst: 1, key: .route)
            ])
        let tandem = try plane(http)
        let client = try tandem.client()
        #expect(try client.exchange("/").status == 200)
        let refused = try client.exchange("/")
        #expect(refused.status == 429)
        #expect(refused.field("retry-after") == "1")
        #expect(try eventually { try client.exchange("/").status == 200 })
    }

    @Test func headerValuesHaveBucketsOfTheirOwn() throws {
        let http = HTTPListenerConfiguration(
            routes: [route("/free"), route("/", [limit(2, .header("X-Api-Key"))])])
        let tandem = try plane(http)
        let client = try tandem.client()
        for key in ["a", "b", "A"] {
            let fields = "x-api-key: \(key)\r\nX-Api-Key: other\r\n"
            for _ in 0..<2 { #expect(try client.exchange("/", fields: fields).status == 200) }
            #expect(try client.exchange("/", fields: fields).status == 429)
        }
        for _ in 0..<2 { #expect(try client.exchange("/").status == 200) }
        #expect(try client.exchange("/", fields: "X-Api-Key:\r\n").status == 429)
        #expect(try client.exchange("/free").status == 200)
        #expect(tandem.plane.rateLimitStatistics().map(\.refused) == [4])
    }

    @Test func everyLimitHasToAdmit() throws {
        let http = HTTPListenerConfiguration(
            routes: [route("/a", [limit(2, .route)]), route("/")],
            rateLimits: [limit(4, .client)])
        let tandem = try plane(http)
        let client = try tandem.client()
        #expect(try client.exchange("/a").status == 200)
        #expect(try client.exchange("/a").status == 200)
        #expect(try client.exchange("/a").status == 429)
        #expect(try client.exchange("/").status == 200)
        #expect(try client.exchange("/").status == 429)
    }

    @Test func workersShareTheLimitOfTheNode() throws {
        let http = HTTPListenerConfiguration(
            routes: [route("/")], rateLimits: [limit(50, .client)])
        let tandem = try plane(http, workers: 2)
        var admitted = 0
        for _ in 0..<40 {
            let client = try tandem.client()
            for _ in 0..<3 where try client.exchange("/").status == 200 { admitted += 1 }
        }
        // Two workers may both make a bucket for a key that is new to them: one token more.
        #expect((50...51).contains(admitted))
    }

    @Test func reloadsKeepTheBucketsOfUnchangedLimits() throws {
        let kept = limit(2, .route)
        let http = HTTPListenerConfiguration(routes: [route("/a", [kept]), route("/b", [kept])])
        let tandem = try plane(http)
        let client = try tandem.client()
        for _ in 0..<3 { _ = try client.exchange("/a") }
        #expect(try client.exchange("/b").status == 200)
        // Another route in front and another page: the limits are the same.
        var changed = HTTPListenerConfiguration(
            routes: [route("/new"), route("/b", [kept]), route("/a", [kept])])
        changed.errorPages = [ErrorPage(status: 429, contentType: "text/plain", body: "again")]
        _ = try tandem.reload(http: changed)
        #expect(try eventually { try client.exchange("/a").text == "again" })
        #expect(try client.exchange("/b").status == 200)
        #expect(try client.exchange("/b").status == 429)
        // A changed limit begins anew.
        _ = try tandem.reload(
            http: HTTPListenerConfiguration(
                routes: [route("/a", [limit(3, .route)]), route("/b", [kept])]))
        #expect(try eventually { try client.exchange("/a").status == 200 })
        #expect(try client.exchange("/b").status == 429)
    }
}
