// SPDX-License-Identifier: Apache-2.0
//
// The heartbeat payload: round trips, limits, faults, fields of later versions.

import ReplicationCore
import Testing
import WireCore

@Suite struct HeartbeatTests {
    static func heartbeat(routers: [VirtualRouterReport]) -> Heartbeat {
        Heartbeat(
            sentAt: Instant(nanoseconds: .max), configurationHash: 0xDEAD_BEEF_0102_0304,
            isDataPlaneHealthy: false, timerLateness: .milliseconds(7), routers: routers)
    }

    static let samples = [
        heartbeat(routers: []),
        heartbeat(
            routers: VirtualRouterRole.allCases.map {
                VirtualRouterReport(id: $0.rawValue + 1, role: $0)
            }),
        heartbeat(routers: (1...255).map { VirtualRouterReport(id: $0, role: .backup) }),
    ]

    @Test(arguments: samples)
    func readingGivesBackWhatWasWritten(_ heartbeat: Heartbeat) throws {
        let payload = heartbeat.payload
        #expect(payload.count <= LinkFrameEncoder.payloadByteCountMax)
        #expect(try Heartbeat(payload: payload.span.bytes) == heartbeat)
    }

    @Test(arguments: samples)
    func everyPrefixIsTruncated(_ heartbeat: Heartbeat) {
        let payload = heartbeat.payload
        for count in 0..<payload.count {
            let prefix = Array(payload.prefix(count))
            #expect(throws: HeartbeatFault.truncated) {
                try Heartbeat(payload: prefix.span.bytes)
            }
        }
    }

    @Test func fieldsAndFlagsOfLaterVersionsAreSkipped() throws {
        var payload = Self.samples[1].payload
        payload[16] |= 0x80
        payload += [1, 2, 3]
        #expect(try Heartbeat(payload: payload.span.bytes) == Self.samples[1])
    }

    @Test func latenessSaturates() throws {
        var heartbeat = Self.samples[0]
        heartbeat.timerLateness = TimeSpan(nanoseconds: .max)
        let read = try Heartbeat(payload: heartbeat.payload.span.bytes)
        #expect(read.timerLateness == .microseconds(UInt64(UInt32.max)))
    }

    @Test(
        arguments: [
            ([0, 1], HeartbeatFault.zeroRouterID), ([7, 3], .unknownRole(3)),
            ([7, 1, 7, 2], .duplicateRouterID(7)),
        ] as [([UInt8], HeartbeatFault)])
    func badRoutersAreFaults(_ routers: [UInt8], _ fault: HeartbeatFault) {
        var payload = Self.samples[0].payload
        payload[payload.count - 1] = UInt8(routers.count / 2)
        payload += routers
        #expect(throws: fault) { try Heartbeat(payload: payload.span.bytes) }
    }
}
