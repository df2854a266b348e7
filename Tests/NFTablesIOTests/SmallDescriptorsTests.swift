// SPDX-License-Identifier: Apache-2.0
//
// Goal: rules can be changed however many descriptors are open. Method: a process of its own that
// uses up the small numbers; libnftables ends a process whose socket has none (FD_SETSIZE).

import EventLoop
import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@testable import NFTablesIO

struct SmallDescriptorsTests {
    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func aThousandConnectionsLeaveRoomForRules() async throws {
        _ = try await #require(processExitsWith: .success) {
            RulesContext.reserveDescriptors()
            let others = try SmallDescriptorsTests.takeAll()
            for _ in 0..<3 {
                let first = try RulesContext()
                let second = try RulesContext()
                try first.run("list tables")
                try second.run("list tables")
            }
            _ = others.count
        }
    }

    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func withoutASmallNumberTheAnswerIsAnError() async throws {
        _ = try await #require(processExitsWith: .success) {
            let others = try SmallDescriptorsTests.takeAll()
            #expect(throws: RulesError.self) { try RulesContext().run("list tables") }
            _ = others.count
        }
    }

    private static func takeAll() throws -> [Mailbox<Void>] {
        _ = ProcessLimits.raiseDescriptorLimit()
        return try (0..<1_100).map { _ in try Mailbox<Void>() }
    }
}
