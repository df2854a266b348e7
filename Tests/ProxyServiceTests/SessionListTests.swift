// SPDX-License-Identifier: Apache-2.0
//
// Who is connected, as the runtime socket lists it.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct SessionListTests {
    @Test func clientsAreListedWithWhatTheyDo() throws {
        let backend = try ManualBackend()
        let tandem = try TestPlane([backend.endpoint], workers: 2)
        let idle = try tandem.client()
        let busy = try tandem.client()
        try busy.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n")
        let connection = try backend.accept()
        var listed: [SessionDescription] = []
        #expect(
            eventually {
                listed = tandem.plane.sessions().sessions
                return listed.count == 2 && listed.contains { $0.activity == .exchanging }
            })
        let exchanging = try #require(listed.first { $0.activity == .exchanging })
        #expect(exchanging.pool == "web")
        #expect(exchanging.backend == "be0")
        #expect(exchanging.requestCount == 1)
        #expect(exchanging.listener == "web")
        let other = try #require(listed.first { $0.activity != .exchanging })
        #expect(other.activity == .idle)
        #expect(other.pool == nil)
        #expect(Set(listed.map(\.identifier)).count == 2)
        #expect(Set(listed.map(\.client.port)).count == 2)
        withExtendedLifetime((idle, busy, connection)) {}
    }

    @Test func aStoppedPlaneListsNobody() throws {
        let tandem = try TestPlane([])
        tandem.plane.stop()
        #expect(tandem.plane.sessions().sessions.isEmpty)
    }
}
