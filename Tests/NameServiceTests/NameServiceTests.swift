// SPDX-License-Identifier: Apache-2.0
//
// Goal: names are resolved, changes told, failures survived. Method: the service and a scripted
// server on one loop.

import EventLoop
import LinuxIO
import NameLaboratory
import NameService
import Telemetry
import Testing
import WireCore

@Suite struct NameServiceTests {
    @Test func withoutNamesNothingIsAskedOrTold() throws {
        let loop = try EventLoop()
        var told = 0
        let service = NameService(on: loop, logger: Logger("name", sink: nil), seed: 1) { _ in
            told += 1
        }
        #expect(service.snapshot().isEmpty)
        #expect(service.answers == ResolvedNames())
        #expect(told == 0)
    }
}
