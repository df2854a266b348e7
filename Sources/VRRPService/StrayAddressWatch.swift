// SPDX-License-Identifier: Apache-2.0
//
// Virtual addresses of ours on interfaces that are not ours: told once each, and removed where a
// dead process of our own left them.

internal import LinuxIO
internal import NetlinkIO
internal import Telemetry
internal import WireCore

/// Remembers which stray addresses are known.
struct StrayAddressWatch: ~Copyable {
    /// How many strays are remembered: more than a host has interfaces with our addresses.
    static let strayCountMax = 1_024

    /// One of our addresses on an interface that is not ours.
    struct Stray: Hashable {
        var address: IPAddress
        var interfaceIndex: Int
    }

    private let logger: Logger
    private var known: Set<Stray> = []
    private var limiter = LogRateLimiter()

    init(logger: Logger) {
        self.logger = logger
    }

    /// Forgets strays that are not among `present` any more.
    mutating func keep(_ present: [InterfaceAddress]) {
        known.formIntersection(
            present.map { Stray(address: $0.address, interfaceIndex: $0.interfaceIndex) })
    }

    /// An address left an interface.
    mutating func forget(_ address: IPAddress, interfaceIndex: Int) {
        known.remove(Stray(address: address, interfaceIndex: interfaceIndex))
    }

    /// A virtual address is on an interface that is not ours.
    ///
    /// - Returns: whether this is news.
    mutating func notice(
        _ address: IPAddress, prefixLength: Int, on owner: NetworkLink,
        netlink: borrowing NetlinkSocket
    ) -> Bool {
        let stray = Stray(address: address, interfaceIndex: owner.index)
        guard known.count < Self.strayCountMax, known.insert(stray).inserted else { return false }
        // A device of our name without carrier belongs to no living process.
        if owner.name.hasPrefix(VirtualAddressHolder.devicePrefix), !owner.hasCarrier,
            Self.remove(stray, prefixLength, netlink)
        {
            logger.warning("removed \(address) from \(owner.name), left there by a dead process")
            return true
        }
        guard let suppressed = limiter.admit(now: Clock.now()) else { return true }
        logger.warning(
            "\(address) is a virtual address but was added to \(owner.name) by somebody else; "
                + "both nodes may answer for it. Stop keepalived or whatever added it, then: "
                + "ip address del \(address)/\(prefixLength) dev \(owner.name)",
            ["suppressed": String(suppressed)])
        return true
    }

    private static func remove(
        _ stray: Stray, _ prefixLength: Int, _ netlink: borrowing NetlinkSocket
    ) -> Bool {
        do throws(NetlinkError) {
            let request = try AddressRequest(
                stray.address, prefixLength: prefixLength, interfaceIndex: stray.interfaceIndex)
            return try netlink.delete(request)
        } catch {
            return false
        }
    }
}
