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

    static let detailed = [
        heartbeat(routers: [VirtualRouterReport(id: 51, role: .active, priority: 200)]),
        heartbeat(
            routers: [
                VirtualRouterReport(id: 51, role: .active, priority: 1, isFaulty: true),
                VirtualRouterReport(
                    id: 51, family: .ipv6, role: .backup, priority: 255, isHeld: true),
                VirtualRouterReport(
                    id: 51, family: .ipv6, role: .initialize, priority: 0, isLingering: true),
            ]),
        heartbeat(
            routers: (1...255).flatMap { id in
                AddressFamily.allCases.map {
                    VirtualRouterReport(
                        id: id, family: $0, role: .backup, priority: 100, isFaulty: true,
                        isHeld: true, isLingering: true)
                }
            }),
    ]

    static let marked = [
        heartbeat(
            routers: [
                VirtualRouterReport(
                    id: 51, role: .active, priority: 200, isDoubtful: true, claimMark: .max),
                VirtualRouterReport(
                    id: 51, family: .ipv6, role: .backup, priority: 1, claimMark: 0),
            ]),
        heartbeat(
            routers: (128...255).flatMap { id in
                AddressFamily.allCases.map {
                    VirtualRouterReport(
                        id: id, family: $0, role: .backup, priority: 100, isDoubtful: true,
                        claimMark: UInt32(id) << 24)
                }
            }),
    ]

    /// Bytes before the list of VRIDs, its count included.
    static let headByteCount = 22

    @Test(arguments: samples + detailed + marked)
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

    /// What ends behind the list is a heartbeat of an older version; all else is cut off.
    @Test(arguments: detailed)
    func everyOtherPrefixWithDetailsIsTruncated(_ heartbeat: Heartbeat) {
        let payload = heartbeat.payload
        let listEnd = Self.headByteCount + 2 * Set(heartbeat.routers.map(\.id)).count
        for count in 0..<payload.count where count != listEnd {
            let prefix = Array(payload.prefix(count))
            #expect(throws: HeartbeatFault.truncated) {
                try Heartbeat(payload: prefix.span.bytes)
            }
        }
    }

    /// An older peer reads one role for each VRID and skips what follows; this is its reader.
    @Test(arguments: detailed)
    func anOlderPeerReadsOneRoleForEachVRID(_ heartbeat: Heartbeat) throws {
        let payload = heartbeat.payload
        let count = Int(payload[Self.headByteCount - 1])
        let list = payload.dropFirst(Self.headByteCount).prefix(2 * count)
        #expect(list.count == 2 * count)
        var roles: [UInt8: UInt8] = [:]
        for index in 0..<count {
            let start = list.startIndex + 2 * index
            #expect(list[start] != 0)
            #expect(VirtualRouterRole(rawValue: list[start + 1]) != nil)
            #expect(roles.updateValue(list[start + 1], forKey: list[start]) == nil)
        }
        #expect(Set(roles.keys) == Set(heartbeat.routers.map(\.id)))
        for id in roles.keys {
            let first = heartbeat.routers.first { $0.id == id }
            #expect(roles[id] == first?.role.rawValue)
        }
    }

    @Test func anOlderPeersHeartbeatSaysNothingOfPriorities() throws {
        var payload = Self.detailed[1].payload
        payload.removeLast(payload.count - Self.headByteCount - 2)
        let read = try Heartbeat(payload: payload.span.bytes)
        #expect(read.routers == [VirtualRouterReport(id: 51, role: .active)])
        #expect(read.routers.first?.priority == nil)
    }

    @Test(arguments: detailed + samples)
    func theLifeThatSignsIsTold(_ heartbeat: Heartbeat) throws {
        var signing = heartbeat
        signing.bootNonce = 0x0102_0304_0506_0708
        let payload = signing.payload
        #expect(try Heartbeat(payload: payload.span.bytes) == signing)
        // A block of another length is one of a later version.
        let later = heartbeat.payload + [2, 0, 1, 7]
        #expect(try Heartbeat(payload: later.span.bytes) == heartbeat)
    }

    @Test(arguments: marked + samples)
    func theHeartbeatThatIsAnsweredIsTold(_ heartbeat: Heartbeat) throws {
        var answering = heartbeat
        answering.answeredAt = Instant(nanoseconds: 0x0102_0304_0506_0708)
        let payload = answering.payload
        #expect(payload.count <= LinkFrameEncoder.payloadByteCountMax)
        #expect(try Heartbeat(payload: payload.span.bytes) == answering)
        let later = heartbeat.payload + [3, 0, 1, 7]
        #expect(try Heartbeat(payload: later.span.bytes) == heartbeat)
    }

    /// One router without a mark, and none is told: who lacks marks answers no question.
    @Test func marksAreToldOfAllRoutersOrOfNone() throws {
        var heartbeat = Self.marked[0]
        heartbeat.routers[1].claimMark = nil
        let read = try Heartbeat(payload: heartbeat.payload.span.bytes)
        #expect(read.routers.map(\.claimMark) == [nil, nil])
        #expect(read.routers.map(\.isDoubtful) == [true, false])
        // More would not fit into a frame.
        var many = Self.marked[1]
        many.routers += Self.marked[0].routers
        let payload = many.payload
        #expect(payload.count <= LinkFrameEncoder.payloadByteCountMax)
        #expect(
            try Heartbeat(payload: payload.span.bytes).routers.allSatisfy { $0.claimMark == nil })
    }

    @Test func blocksFlagsAndEntriesOfLaterVersionsAreSkipped() throws {
        var payload = Self.samples[1].payload
        payload[16] |= 0x80
        // Two blocks of unknown kinds, the second one empty.
        payload += [9, 0, 3, 1, 2, 3, 200, 0, 0]
        // Details whose entries have one more byte and a flag that nobody knows.
        payload += [1, 0, 13, 6, 77, 6, 2, 150, 0x80 | 2, 0xAA, 78, 4, 1, 7, 0, 0xBB]
        let expected = [
            VirtualRouterReport(id: 77, family: .ipv6, role: .active, priority: 150, isHeld: true),
            VirtualRouterReport(id: 78, role: .backup, priority: 7),
        ]
        #expect(
            try Heartbeat(payload: payload.span.bytes).routers
                == Self.samples[1].routers + expected)
    }

    @Test(
        arguments: [
            ([1, 0, 0], HeartbeatFault.truncated), ([1, 0, 6, 5, 51, 4, 1, 100], .truncated),
            ([1, 0, 5, 4, 51, 4, 1, 100], .badEntrySize(4)),
            ([1, 0, 1, 0], .badEntrySize(0)),
            ([1, 0, 8, 5, 51, 4, 1, 100, 0, 1, 2], .badEntrySize(5)),
            ([1, 0, 6, 5, 0, 4, 1, 100, 0], .zeroRouterID),
            ([1, 0, 6, 5, 51, 5, 1, 100, 0], .unknownFamily(5)),
            ([1, 0, 6, 5, 51, 4, 3, 100, 0], .unknownRole(3)), ([7], .truncated),
            ([7, 0], .truncated), ([7, 255, 255], .truncated),
        ] as [([UInt8], HeartbeatFault)])
    func badBlocksAreFaults(_ block: [UInt8], _ fault: HeartbeatFault) {
        let payload = Self.samples[1].payload + block
        #expect(throws: fault) { try Heartbeat(payload: payload.span.bytes) }
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
