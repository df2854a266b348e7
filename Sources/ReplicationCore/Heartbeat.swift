// SPDX-License-Identifier: Apache-2.0
//
// What a node tells its peer with every heartbeat, as a value and as the payload of a sealed frame.
//
//     sent at (8) | configuration hash (8) | flags (1) | lateness in microseconds (4)
//     | count of virtual routers (1) | count x { VRID (1), role (1) } | later versions' fields

public import WireCore

/// What a node is for one virtual router (RFC 9568 §6.4).
public enum VirtualRouterRole: UInt8, Hashable, Sendable, CaseIterable {
    /// Not taking part yet, or any more.
    case initialize = 0
    /// Waiting for the active node to fall silent.
    case backup = 1
    /// Holding the virtual addresses.
    case active = 2
}

/// The role of a node for one VRID.
public struct VirtualRouterReport: Hashable, Sendable {
    /// VRID, 1-255.
    public var id: UInt8
    /// What the node is for it.
    public var role: VirtualRouterRole

    /// Makes a report.
    public init(id: UInt8, role: VirtualRouterRole) {
        self.id = id
        self.role = role
    }
}

/// One heartbeat.
public struct Heartbeat: Hashable, Sendable {
    /// When it was sent, on the sender's monotonic clock; only differences mean something.
    public var sentAt: Instant
    /// Hash of the sender's configuration file.
    public var configurationHash: UInt64
    /// Whether the sender's workers make progress.
    public var isDataPlaneHealthy: Bool
    /// How late the sender's own timers fired at worst since its previous heartbeat.
    public var timerLateness: TimeSpan
    /// The sender's role for each of its virtual routers.
    public var routers: [VirtualRouterReport]

    /// Makes a heartbeat.
    public init(
        sentAt: Instant, configurationHash: UInt64, isDataPlaneHealthy: Bool,
        timerLateness: TimeSpan, routers: [VirtualRouterReport]
    ) {
        self.sentAt = sentAt
        self.configurationHash = configurationHash
        self.isDataPlaneHealthy = isDataPlaneHealthy
        self.timerLateness = timerLateness
        self.routers = routers
    }
}

/// Why an authenticated payload is no heartbeat.
public enum HeartbeatFault: Error, Hashable, Sendable {
    /// The payload ends too early.
    case truncated
    /// VRID 0 does not exist (RFC 9568 §5.2.3).
    case zeroRouterID
    /// One VRID reported twice.
    case duplicateRouterID(UInt8)
    /// A role number that no version defined.
    case unknownRole(UInt8)
}

extension Heartbeat {
    private static let healthyFlag: UInt8 = 1

    /// The payload; more routers than ``LinkProtocol/routerCountMax`` are left out.
    public var payload: [UInt8] {
        let reported = routers.prefix(LinkProtocol.routerCountMax)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(22 + 2 * reported.count)
        bytes.appendBigEndian(sentAt.nanoseconds)
        bytes.appendBigEndian(configurationHash)
        bytes.append(isDataPlaneHealthy ? Self.healthyFlag : 0)
        bytes.appendBigEndian(UInt32(clamping: timerLateness.microseconds))
        bytes.append(UInt8(truncatingIfNeeded: reported.count))
        for router in reported {
            bytes.append(router.id)
            bytes.append(router.role.rawValue)
        }
        return bytes
    }

    /// Reads a payload; bytes and flags behind the known ones belong to later versions.
    public init(payload: RawSpan) throws(HeartbeatFault) {
        var reader = ByteReader(payload)
        guard let sentAt = reader.readUInt64(), let hash = reader.readUInt64(),
            let flags = reader.readUInt8(), let lateness = reader.readUInt32(),
            let count = reader.readUInt8()
        else { throw .truncated }
        var routers: [VirtualRouterReport] = []
        routers.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let id = reader.readUInt8(), let number = reader.readUInt8() else {
                throw .truncated
            }
            guard id != 0 else { throw .zeroRouterID }
            guard let role = VirtualRouterRole(rawValue: number) else {
                throw .unknownRole(number)
            }
            guard !routers.contains(where: { $0.id == id }) else {
                throw .duplicateRouterID(id)
            }
            routers.append(VirtualRouterReport(id: id, role: role))
        }
        self.init(
            sentAt: Instant(nanoseconds: sentAt), configurationHash: hash,
            isDataPlaneHealthy: flags & Self.healthyFlag != 0,
            timerLateness: .microseconds(UInt64(lateness)), routers: routers)
    }
}
