// SPDX-License-Identifier: Apache-2.0
//
// Virtual addresses on the LAN's interface itself: the second choice, for hosts on which nobody
// can answer for an address that is on a device of our own. The lease alone ends them.

internal import NetlinkIO
internal import WireCore

/// Holds addresses on an interface that others own.
final class InterfaceAddressControl: VirtualAddressControl {
    private let interfaceIndex: Int
    private let netlink: NetlinkSocket

    init(interfaceIndex: Int) throws(NetlinkError) {
        self.interfaceIndex = interfaceIndex
        netlink = try NetlinkSocket()
    }

    func put(_ addresses: [IPAddress], lease: TimeSpan) throws(VirtualAddressError) {
        for address in addresses {
            do throws(NetlinkError) {
                try netlink.put(try request(address, lease: lease))
            } catch {
                throw .netlink(error)
            }
        }
    }

    func remove(_ addresses: [IPAddress]) throws(VirtualAddressError) {
        for address in addresses {
            do throws(NetlinkError) {
                _ = try netlink.delete(try request(address, lease: .zero))
            } catch {
                throw .netlink(error)
            }
        }
    }

    func missing(among addresses: [IPAddress]) -> [IPAddress] {
        guard let present = try? netlink.addresses(interfaceIndex: interfaceIndex) else {
            return addresses
        }
        return addresses.filter { address in !present.contains { $0.address == address } }
    }

    private func request(
        _ address: IPAddress, lease: TimeSpan
    ) throws(NetlinkError) -> AddressRequest {
        var options = AddressRequest.Options()
        options.validSeconds = VirtualAddressHolder.validSeconds(lease)
        // RFC 4862 §5.5.4: answers, and begins nothing of its own.
        options.preferredSeconds = address.family == .ipv6 ? 0 : options.validSeconds
        options.hasNoPrefixRoute = true
        options.hasNoDuplicateDetection = true
        return try AddressRequest(
            address, prefixLength: address.bitWidth, interfaceIndex: interfaceIndex,
            options: options)
    }
}
