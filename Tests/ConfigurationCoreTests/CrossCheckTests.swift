// SPDX-License-Identifier: Apache-2.0
//
// Checks that compare settings with one another: sockets, routes, pools, the pair.

import Testing
import WireCore

@testable import ConfigurationCore

@Suite struct CrossCheckTests {
    @Test(arguments: [
        ("0.0.0.0:80", "10.0.0.1:80", true), ("10.0.0.1:80", "0.0.0.0:80", true),
        ("10.0.0.1:80", "10.0.0.1:80", true), ("10.0.0.1:80", "10.0.0.2:80", false),
        ("0.0.0.0:80", "0.0.0.0:81", false), ("[::]:80", "[::1]:80", true),
        ("[::]:80", "0.0.0.0:80", false),
    ])
    func socketsOverlapWhenOneTakesAPlaceOfTheOther(left: String, right: String, overlap: Bool)
        throws
    {
        let one = try AddressText.endpoint(left)
        let other = try AddressText.endpoint(right)
        #expect(SocketCheck.overlap(one, other) == overlap)
    }

    @Test(
        arguments: [
            (nil, nil, "a", "/x", true), ("a", nil, "a", "/x", true), ("a", nil, nil, nil, false),
            ("*.a", nil, "b.a", nil, true), ("*.a", nil, "a", nil, false),
            ("*.a", nil, "*.b.a", nil, true),
            (nil, "/", nil, "/x", true), (nil, "/", nil, nil, true), (nil, "/x", nil, "/x", true),
            (nil, "/x", nil, "/x/y", true), (nil, "/x", nil, "/xy", false),
            (nil, "/x/", nil, "/x/y", true), (nil, "/x/", nil, "/x", false),
            (nil, "/x", nil, nil, false),
        ] as [(String?, String?, String?, String?, Bool)])
    func aRouteCoversAnotherWhenItTakesAllItsRequests(
        host: String?, path: String?, laterHost: String?, laterPath: String?, covers: Bool
    ) {
        let earlier = RouteMatch(host: host, path: path.map { .prefix($0) })
        let later = RouteMatch(host: laterHost, path: laterPath.map { .prefix($0) })
        #expect(RouteCheck.covers(earlier, later) == covers)
    }

    private static let api = RouteMatch.Path.prefix("/api/")

    private static func canary(_ value: String?) -> [RouteMatch.Condition] {
        [RouteMatch.Condition(name: "x-canary", value: value)]
    }

    @Test(
        arguments: [
            (RouteMatch(), RouteMatch(path: api, methods: ["GET"], headers: canary("1")), true),
            (RouteMatch(methods: ["GET"]), RouteMatch(), false),
            (RouteMatch(methods: ["GET", "HEAD"]), RouteMatch(methods: ["GET"]), true),
            (RouteMatch(methods: ["GET"]), RouteMatch(methods: ["GET", "HEAD"]), false),
            (RouteMatch(methods: ["GET"]), RouteMatch(methods: ["get"]), false),
            (RouteMatch(path: .exact("/a")), RouteMatch(path: .exact("/a")), true),
            (RouteMatch(path: .exact("/a")), RouteMatch(path: .prefix("/a")), false),
            (RouteMatch(path: .exact("/")), RouteMatch(), false),
            (RouteMatch(path: api), RouteMatch(path: .exact("/api/users")), true),
            (RouteMatch(path: api), RouteMatch(path: .exact("/api")), false),
            (RouteMatch(path: .prefix("/")), RouteMatch(path: .exact("/x")), true),
            (RouteMatch(headers: canary(nil)), RouteMatch(headers: canary("1")), true),
            (RouteMatch(headers: canary("1")), RouteMatch(headers: canary(nil)), false),
            (RouteMatch(headers: canary("1")), RouteMatch(headers: canary("2")), false),
            (RouteMatch(headers: canary("1")), RouteMatch(query: canary("1")), false),
            (RouteMatch(query: canary("1")), RouteMatch(query: canary("1")), true),
            (RouteMatch(cookies: canary(nil)), RouteMatch(cookies: canary("1")), true),
            (RouteMatch(cookies: canary(nil)), RouteMatch(), false),
            (
                RouteMatch(path: api, headers: canary("1")),
                RouteMatch(path: api, cookies: canary("1")), false
            ),
        ] as [(RouteMatch, RouteMatch, Bool)])
    func aRouteCoversAnotherOnlyWithEachOfItsConditions(
        earlier: RouteMatch, later: RouteMatch, covers: Bool
    ) {
        #expect(RouteCheck.covers(earlier, later) == covers)
    }

    @Test func eventsThatDoNotNestGiveAnErrorAndNoTrap() {
        let range = SourceRange(at: .start)
        let broken: [[ConfigurationEvent.Kind]] = [
            [.sequenceEnd], [.mappingStart], [.mappingStart, .sequenceEnd],
            [.mappingStart, .scalar("a", isPlain: true), .mappingEnd],
            [.scalar("a", isPlain: true), .scalar("b", isPlain: true)],
            Array(repeating: .sequenceStart, count: 1_000),
        ]
        for kinds in broken {
            let events = kinds.map { ConfigurationEvent($0, range) }
            let reading = ConfigurationReader.read(events, node: .unchecked)
            #expect(reading.configuration == nil)
            #expect(reading.diagnostics.map(\.severity) == [.error])
        }
    }
}
