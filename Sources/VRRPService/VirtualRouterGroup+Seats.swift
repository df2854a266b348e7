// SPDX-License-Identifier: Apache-2.0
//
// Where this node's virtual routers meet the LAN, for a planned switchover: what the other node
// needs to pass packets on to it.

internal import NetlinkIO
public import WireCore

/// A node's end of one virtual router.
public struct VirtualRouterSeat: Hashable, Sendable {
    /// The virtual router.
    public var instance: VirtualRouterInstance
    /// The node's own address on the interface.
    public var address: IPAddress
    /// What frames of the node come from there: six bytes, or none.
    public var hardwareAddress: [UInt8]
}

extension VirtualRouterGroup {
    /// The seats of `instances` in their order; those without an own address are left out.
    public func seats(of instances: [VirtualRouterInstance]) -> [VirtualRouterSeat] {
        instances.compactMap { instance in
            guard let speaker = speakers.first(where: { $0.instance == instance }),
                let address = speaker.currentStatus.ownAddress
            else { return nil }
            let link = interfaces.first { $0.name == instance.interface }?.link
            let bytes = link?.hardwareAddress ?? []
            return VirtualRouterSeat(
                instance: instance, address: address,
                hardwareAddress: bytes.count == 6 ? bytes : [])
        }
    }
}
