// SPDX-License-Identifier: Apache-2.0
//
// Goal: docs/metrics.md lists exactly the metrics of a virtual router. Method: an Active with a
// takeover behind it, its metrics, and the page.

import EventLoop
import LinuxIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite struct MetricsPageTests {
    private static let page =
        #filePath.split(separator: "/").dropLast(3)
        .reduce("") { "\($0)/\($1)" } + "/docs/metrics.md"

    /// The names in the first column of the page's tables; a star marks those without election.
    private func documented(starredOnly: Bool = false) throws -> Set<String> {
        let bytes = try FileSystem.read(path: Self.page, byteCountMax: 100_000)
        var names: Set<String> = []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("| `tandem_vrrp_") {
            let parts = line.split(separator: "`")
            if starredOnly, !parts[2].hasPrefix(" *") { continue }
            names.insert(String(parts[1]))
        }
        return names
    }

    private func names(_ report: SpeakerReport) -> Set<String> {
        var text = MetricsText()
        report.collect(into: &text)
        let lines = text.rendered.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
        return Set(lines.map { String($0.split(separator: " ")[2]) })
    }

    @Test func pageListsWhatARouterWithAnElectionReports() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        #expect(names(test.speaker.report) == (try documented()))
    }

    @Test func pageMarksWhatARouterWithoutAnElectionReports() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let fake = FakePorts()
        let router = RouteRouter(
            instance: Packet.instance, addresses: [Packet.virtual], lease: .seconds(2),
            ports: RouteRouter.Ports(exported: fake, ordinary: FakePorts()), loop: loop,
            logger: Logger("vrrp", sink: nil))
        router.start()
        #expect(names(router.report) == (try documented(starredOnly: true)))
        router.close()
    }
}
