// SPDX-License-Identifier: Apache-2.0
//
// Opens the sockets of one virtual router on the interface it speaks on.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import NetlinkIO
internal import Telemetry
internal import WireCore

/// Makes real ports.
struct SpeakerPortFactory {
    /// The ports of one virtual router.
    struct Opened {
        var ports: Speaker.Ports
        var announcer: Announcer
    }

    let holder: VirtualAddressHolder
    let loop: EventLoop
    let logger: Logger

    /// Opens the sockets of `plan` on `link`; `ownAddress` where the interface has it.
    func open(
        _ plan: InstancePlan, on link: NetworkLink, ownAddress: IPAddress?
    ) throws(VirtualRouterSetUpError) -> Opened {
        let point = AttachmentPoint(
            link: link, virtualRouterID: plan.router.id, family: plan.instance.family,
            addresses: plan.addresses, transport: plan.router.transport, ownAddress: ownAddress,
            peerAddress: plan.peerAddress,
            otherVirtualRouterIDs: plan.virtualRouterIDs.filter { $0 != plan.router.id },
            hasVirtualMAC: plan.router.virtualMAC)
        let channel: RawAdvertisementChannel
        do throws(Errno) {
            channel = try RawAdvertisementChannel(point, loop: loop, logger: logger)
        } catch {
            let source = ownAddress.map { " from \($0)" } ?? ""
            throw .socket("VRRP socket on \(link.name)\(source)", error)
        }
        do throws(Errno) {
            let announcer = try Announcer(point, loop: loop, logger: logger)
            let prober = try AddressProber(point, loop: loop)
            holder.place(
                plan.addresses,
                onInterface: announcer.needsAddressOnInterface ? link.index : nil)
            return Opened(
                ports: Speaker.Ports(
                    channel: channel, addresses: holder, announcer: announcer, prober: prober),
                announcer: announcer)
        } catch {
            channel.close()
            throw .socket("packet socket on \(link.name)", error)
        }
    }
}
