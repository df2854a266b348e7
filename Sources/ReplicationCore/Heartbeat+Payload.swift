// SPDX-License-Identifier: Apache-2.0
//
// A heartbeat as bytes, and back. The layout is drawn in Heartbeat.swift.

import WireCore

extension Heartbeat {
    private static let healthyFlag: UInt8 = 1
    private static let detailsKind: UInt8 = 1
    private static let bootNonceKind: UInt8 = 2
    private static let answeredKind: UInt8 = 3
    /// Bytes of a block that is one number.
    private static let numberByteCount = 8
    /// Bytes of the shortest entry of the details that is read.
    private static let detailByteCountMin: UInt8 = 5
    /// Bytes of one entry of the details with its claim mark; all entries have one, or none.
    private static let detailByteCount: UInt8 = 9
    /// With more routers than this, marks would not fit into a frame, and no entry has one.
    private static let markedRouterCountMax = 256

    /// Flags of one entry of the details.
    private enum DetailFlag {
        static let faulty: UInt8 = 1
        static let held: UInt8 = 2
        static let lingering: UInt8 = 4
        static let doubtful: UInt8 = 8
    }

    /// What the blocks of later versions say.
    private struct Blocks {
        var details: [VirtualRouterReport] = []
        var bootNonce: UInt64?
        var answeredAt: Instant?
    }

    /// The payload; more routers than ``LinkProtocol/routerCountMax`` are left out.
    public var payload: [UInt8] {
        let reported = routers.prefix(LinkProtocol.routerCountMax)
        let summary = Self.summary(of: reported)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(48 + 2 * summary.count + Int(Self.detailByteCount) * reported.count)
        bytes.appendBigEndian(sentAt.nanoseconds)
        bytes.appendBigEndian(configurationHash)
        bytes.append(isDataPlaneHealthy ? Self.healthyFlag : 0)
        bytes.appendBigEndian(UInt32(clamping: timerLateness.microseconds))
        bytes.append(UInt8(truncatingIfNeeded: summary.count))
        for router in summary {
            bytes.append(router.id)
            bytes.append(router.role.rawValue)
        }
        Self.appendDetails(of: reported, to: &bytes)
        if let bootNonce { Self.append(bootNonce, kind: Self.bootNonceKind, to: &bytes) }
        if let answeredAt {
            Self.append(answeredAt.nanoseconds, kind: Self.answeredKind, to: &bytes)
        }
        return bytes
    }

    private static func append(_ number: UInt64, kind: UInt8, to bytes: inout [UInt8]) {
        bytes.append(kind)
        bytes.appendBigEndian(UInt16(numberByteCount))
        bytes.appendBigEndian(number)
    }

    /// One entry for each VRID: older versions take a second one for a fault.
    private static func summary(
        of routers: ArraySlice<VirtualRouterReport>
    ) -> [VirtualRouterReport] {
        var summary: [VirtualRouterReport] = []
        summary.reserveCapacity(routers.count)
        var seen = RouterIDSet()
        for router in routers where seen.insert(router.id) {
            summary.append(router)
        }
        return summary
    }

    private static func appendDetails(
        of routers: ArraySlice<VirtualRouterReport>, to bytes: inout [UInt8]
    ) {
        let count = routers.count { $0.priority != nil }
        guard count > 0 else { return }
        let hasMarks =
            routers.count <= markedRouterCountMax && routers.allSatisfy { $0.claimMark != nil }
        let size = hasMarks ? detailByteCount : detailByteCountMin
        bytes.append(detailsKind)
        bytes.appendBigEndian(UInt16(clamping: 1 + count * Int(size)))
        bytes.append(size)
        for router in routers {
            guard let priority = router.priority else { continue }
            var flags: UInt8 = 0
            if router.isFaulty { flags |= DetailFlag.faulty }
            if router.isHeld { flags |= DetailFlag.held }
            if router.isLingering { flags |= DetailFlag.lingering }
            if router.isDoubtful { flags |= DetailFlag.doubtful }
            bytes += [
                router.id, router.family == .ipv4 ? 4 : 6, router.role.rawValue, priority, flags,
            ]
            if hasMarks, let mark = router.claimMark { bytes.appendBigEndian(mark) }
        }
    }

    /// Reads a payload; bytes and flags behind the known ones belong to later versions.
    public init(payload: RawSpan) throws(HeartbeatFault) {
        var reader = ByteReader(payload)
        guard let sentAt = reader.readUInt64(), let hash = reader.readUInt64(),
            let flags = reader.readUInt8(), let lateness = reader.readUInt32(),
            let count = reader.readUInt8()
        else { throw .truncated }
        let summary = try Self.readSummary(&reader, count: count)
        let blocks = try Self.readBlocks(&reader)
        // What has details needs no summary; a router without them is one of an older version.
        var detailed = RouterIDSet()
        for router in blocks.details { _ = detailed.insert(router.id) }
        let plain = summary.filter { !detailed.contains($0.id) }
        self.init(
            sentAt: Instant(nanoseconds: sentAt), configurationHash: hash,
            isDataPlaneHealthy: flags & Self.healthyFlag != 0,
            timerLateness: .microseconds(UInt64(lateness)), routers: plain + blocks.details,
            bootNonce: blocks.bootNonce, answeredAt: blocks.answeredAt)
    }

    private static func readSummary(
        _ reader: inout ByteReader, count: UInt8
    ) throws(HeartbeatFault) -> [VirtualRouterReport] {
        var routers: [VirtualRouterReport] = []
        routers.reserveCapacity(Int(count))
        var seen = RouterIDSet()
        for _ in 0..<count {
            guard let id = reader.readUInt8(), let number = reader.readUInt8() else {
                throw .truncated
            }
            guard id != 0 else { throw .zeroRouterID }
            guard let role = VirtualRouterRole(rawValue: number) else {
                throw .unknownRole(number)
            }
            guard seen.insert(id) else { throw .duplicateRouterID(id) }
            routers.append(VirtualRouterReport(id: id, role: role))
        }
        return routers
    }

    private static func readBlocks(
        _ reader: inout ByteReader
    ) throws(HeartbeatFault) -> Blocks {
        var blocks = Blocks()
        while let kind = reader.readUInt8() {
            guard let byteCount = reader.readUInt16(), reader.remainingByteCount >= Int(byteCount)
            else { throw .truncated }
            if kind == detailsKind {
                blocks.details += try readDetails(&reader, byteCount: Int(byteCount))
            } else if kind == bootNonceKind, Int(byteCount) == numberByteCount {
                blocks.bootNonce = reader.readUInt64()
            } else if kind == answeredKind, Int(byteCount) == numberByteCount {
                blocks.answeredAt = reader.readUInt64().map(Instant.init(nanoseconds:))
            } else {
                _ = reader.readBytes(Int(byteCount))
            }
        }
        return blocks
    }

    private static func readDetails(
        _ reader: inout ByteReader, byteCount: Int
    ) throws(HeartbeatFault) -> [VirtualRouterReport] {
        guard byteCount > 0, let size = reader.readUInt8() else { throw .truncated }
        guard size >= detailByteCountMin, (byteCount - 1).isMultiple(of: Int(size)) else {
            throw .badEntrySize(size)
        }
        var routers: [VirtualRouterReport] = []
        for _ in 0..<(byteCount - 1) / Int(size) {
            guard let id = reader.readUInt8(), let family = reader.readUInt8(),
                let role = reader.readUInt8(), let priority = reader.readUInt8(),
                let flags = reader.readUInt8()
            else { throw .truncated }
            let mark = size >= detailByteCount ? reader.readUInt32() : nil
            let knownCount = mark == nil ? detailByteCountMin : detailByteCount
            guard reader.readBytes(Int(size - knownCount)) != nil else { throw .truncated }
            guard id != 0 else { throw .zeroRouterID }
            guard family == 4 || family == 6 else { throw .unknownFamily(family) }
            guard let known = VirtualRouterRole(rawValue: role) else { throw .unknownRole(role) }
            routers.append(
                VirtualRouterReport(
                    id: id, family: family == 4 ? .ipv4 : .ipv6, role: known, priority: priority,
                    isFaulty: flags & DetailFlag.faulty != 0,
                    isHeld: flags & DetailFlag.held != 0,
                    isLingering: flags & DetailFlag.lingering != 0,
                    isDoubtful: flags & DetailFlag.doubtful != 0, claimMark: mark))
        }
        return routers
    }
}

/// A set of VRIDs as bits.
private struct RouterIDSet {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    func contains(_ id: UInt8) -> Bool {
        word(of: id) & bit(of: id) != 0
    }

    /// - Returns: whether it was not there.
    mutating func insert(_ id: UInt8) -> Bool {
        guard !contains(id) else { return false }
        switch id >> 6 {
        case 0: words.0 |= bit(of: id)
        case 1: words.1 |= bit(of: id)
        case 2: words.2 |= bit(of: id)
        default: words.3 |= bit(of: id)
        }
        return true
    }

    private func bit(of id: UInt8) -> UInt64 { 1 << UInt64(id & 63) }

    private func word(of id: UInt8) -> UInt64 {
        switch id >> 6 {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
    }
}
