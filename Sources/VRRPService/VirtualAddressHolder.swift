// SPDX-License-Identifier: Apache-2.0
//
// The virtual addresses on this host: a TUN device that dies with the process, and on it addresses
// that die when nobody renews them. Decides nothing: speakers say what to hold.

public import EventLoop
public import LinuxIO
internal import NetlinkIO
internal import Telemetry
public import WireCore

/// Holds the virtual addresses of all virtual routers of this process on one TUN device.
public final class VirtualAddressHolder: VirtualAddressControl {
    /// How long a takeover waits for the kernel to have installed IPv6 addresses.
    public static let settlingTimeMax = TimeSpan.milliseconds(5)
    /// Names of our devices begin with this.
    public static let devicePrefix = "tandem"

    private final class Tunnel {
        let device: TunnelDevice
        let index: Int
        let name: String
        var source: EventSource?

        init(device: consuming TunnelDevice, index: Int) {
            name = device.name
            self.device = device
            self.index = index
        }
    }

    private let loop: EventLoop
    private let netlink: NetlinkSocket
    private let descriptorNumber: CInt?
    private let pattern: String
    private var tunnel: Tunnel?
    private var settled: Set<IPAddress> = []
    private var placements: [IPAddress: Int] = [:]
    private var requests: [IPAddress: (lease: TimeSpan, request: AddressRequest)] = [:]

    /// Times the device had to be made anew because somebody removed it.
    public private(set) var deviceLostCount: UInt64 = 0
    /// Called when somebody removed the device and the addresses with it.
    public var onDeviceLost: (() -> Void)?

    /// Makes the device, without addresses.
    ///
    /// - Parameters:
    ///   - loop: the loop of the thread that owns the holder.
    ///   - devicePrefix: what the device's name begins with; the first free number follows.
    ///   - descriptorNumber: where to keep the device's descriptor, see `DescriptorPlan`.
    /// - Throws: without CAP_NET_ADMIN or without /dev/net/tun.
    public init(
        loop: EventLoop, devicePrefix: String = VirtualAddressHolder.devicePrefix,
        descriptorNumber: CInt? = nil
    ) throws(VirtualAddressError) {
        self.loop = loop
        pattern = devicePrefix + "%d"
        self.descriptorNumber = descriptorNumber
        do throws(NetlinkError) {
            netlink = try NetlinkSocket()
        } catch {
            throw .netlink(error)
        }
        try openTunnel()
    }

    /// Removes the device, the addresses with it; the loop otherwise keeps the holder alive.
    public func close() {
        onDeviceLost = nil
        closeTunnel()
    }

    /// The device's interface number; `nil` while it is lost.
    public var interfaceIndex: Int? { tunnel?.index }

    /// The device's name; `nil` while it is lost.
    public var interfaceName: String? { tunnel?.name }

    /// Where addresses go from now on: an interface of the LAN when nobody could answer for them
    /// otherwise, `nil` for our own device, where they die with the process.
    public func place(_ addresses: [IPAddress], onInterface index: Int?) {
        for address in addresses where placements[address] != index {
            // What is there already ends with its lease, or where `remove` finds it.
            if let (_, request) = requests.removeValue(forKey: address) {
                _ = try? netlink.delete(request)
            }
            placements[address] = index
            settled.remove(address)
        }
    }

    /// Prepares what `put` will send, so that the takeover path only sends.
    public func prepare(_ addresses: [IPAddress], lease: TimeSpan) throws(VirtualAddressError) {
        for address in addresses { _ = try request(address, lease: lease) }
    }

    /// Adds the addresses, or renews them when they are there; each lives for `lease` only.
    public func put(_ addresses: [IPAddress], lease: TimeSpan) throws(VirtualAddressError) {
        if tunnel == nil { try openTunnel() }
        do throws(VirtualAddressError) {
            try send(addresses, lease: lease)
        } catch {
            // The kernel tells of the addresses' end before it tells of the device's.
            guard isDetached() else { throw error }
            try replaceTunnel()
            try send(addresses, lease: lease)
        }
    }

    /// Makes the device anew; whoever has other addresses on it is told to put them back.
    private func replaceTunnel() throws(VirtualAddressError) {
        closeTunnel()
        deviceLostCount &+= 1
        loop.schedule(after: .zero) { [weak self] in self?.onDeviceLost?() }
        try openTunnel()
    }

    private func send(
        _ addresses: [IPAddress], lease: TimeSpan
    ) throws(VirtualAddressError) {
        for address in addresses {
            let request = try request(address, lease: lease)
            do throws(NetlinkError) {
                try netlink.put(request)
            } catch {
                throw .netlink(error)
            }
        }
        settle(addresses)
    }

    /// Removes the addresses; missing ones are no error.
    ///
    /// When the kernel refuses to remove one, the device goes and takes it along: an address must
    /// not stay behind on a node that gave it up. Throws only when the device cannot be made anew.
    public func remove(_ addresses: [IPAddress]) throws(VirtualAddressError) {
        var isRefused = false
        settled.subtract(addresses)
        for address in addresses {
            guard let (_, request) = requests[address] else { continue }
            do throws(NetlinkError) {
                try netlink.delete(request)
            } catch {
                isRefused = true
            }
        }
        if isRefused { try replaceTunnel() }
    }

    /// Which of the addresses are not on our device right now.
    public func missing(among addresses: [IPAddress]) -> [IPAddress] {
        guard let tunnel else { return addresses }
        guard let present = try? netlink.addresses() else { return addresses }
        return addresses.filter { address in
            let index = placements[address] ?? tunnel.index
            return !present.contains { $0.address == address && $0.interfaceIndex == index }
        }
    }

    /// Seconds for `valid_lft`: whole, rounded up; the kernel's clock for it is coarse.
    static func validSeconds(_ lease: TimeSpan) -> UInt32 {
        let seconds = (lease + .milliseconds(999)).nanoseconds / 1_000_000_000
        return max(1, UInt32(clamping: min(seconds, UInt64(UInt32.max - 1))))
    }

    private func request(
        _ address: IPAddress, lease: TimeSpan
    ) throws(VirtualAddressError) -> AddressRequest {
        guard let tunnel else { throw .tunnel(.noSuchDevice) }
        if let known = requests[address], known.lease == lease { return known.request }
        var options = AddressRequest.Options()
        options.validSeconds = Self.validSeconds(lease)
        // RFC 4862 §5.5.4: a deprecated address answers but begins nothing of its own, so this
        // node's outgoing IPv6 connections never come from a virtual address.
        options.preferredSeconds = address.family == .ipv6 ? 0 : options.validSeconds
        options.hasNoPrefixRoute = true
        options.hasNoDuplicateDetection = true
        do throws(NetlinkError) {
            let request = try AddressRequest(
                address, prefixLength: address.bitWidth,
                interfaceIndex: placements[address] ?? tunnel.index, options: options)
            requests[address] = (lease, request)
            return request
        } catch {
            throw .netlink(error)
        }
    }

    private func openTunnel() throws(VirtualAddressError) {
        let opened: Tunnel
        do throws(Errno) {
            let device = try TunnelDevice(
                pattern: pattern, number: descriptorNumber)
            let name = device.name
            opened = try Self.located(device, name, netlink)
            opened.source = try loop.add(opened.device.descriptor, .readable, handler: self)
        } catch {
            throw .tunnel(error)
        }
        tunnel = opened
        // A link-local address on it would serve nobody; without IPv6 there is none to omit.
        try? netlink.omitLinkLocal(interfaceIndex: opened.index)
        do throws(NetlinkError) {
            try netlink.bringUp(interfaceIndex: opened.index)
        } catch {
            closeTunnel()
            throw .netlink(error)
        }
    }

    /// Waits until the kernel can use new IPv6 addresses: without detection of duplicates, too, it
    /// installs their routes on a thread of its own, and a SYN that comes before is lost for 1 s.
    private func settle(_ addresses: [IPAddress]) {
        let new = Set(addresses.filter { $0.family == .ipv6 && !settled.contains($0) })
        guard !new.isEmpty else { return }
        settled.formUnion(new)
        let deadline = Clock.now() + Self.settlingTimeMax
        while Clock.now() < deadline {
            guard let present = try? netlink.addresses() else { return }
            let usable = Set(present.filter(\.isUsable).map(\.address))
            if new.isSubset(of: usable) { return }
        }
    }

    private static func located(
        _ device: consuming TunnelDevice, _ name: String, _ netlink: borrowing NetlinkSocket
    ) throws(Errno) -> Tunnel {
        guard let link = try? netlink.link(named: name) else { throw .noSuchDevice }
        return Tunnel(device: device, index: link.index)
    }

    private func closeTunnel() {
        guard let tunnel else { return }
        if let source = tunnel.source { loop.remove(source, of: tunnel.device.descriptor) }
        self.tunnel = nil
        // Requests name the interface by number; a new device has another one.
        requests.removeAll()
        settled.removeAll()
    }
}

extension VirtualAddressHolder: EventHandler {
    /// Throws packets away that the kernel routed into the device; notices a removed device.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        if isDeviceGone() { deviceLost() }
    }

    /// Keeps no reference to the device: when it is made anew at the same descriptor number, the
    /// old owner must have closed before.
    private func isDeviceGone() -> Bool {
        guard let tunnel else { return false }
        return !tunnel.device.drain() || !tunnel.device.isAttached()
    }

    private func isDetached() -> Bool {
        guard let tunnel else { return true }
        return !tunnel.device.isAttached()
    }

    /// Switches the device on again when somebody switched it off.
    public func linkChanged(interfaceIndex: Int, isUp: Bool) {
        guard !isUp, interfaceIndex == tunnel?.index else { return }
        // When it fails the addresses are out of reach; the next change brings us here again.
        try? netlink.bringUp(interfaceIndex: interfaceIndex)
    }

    /// Tells the holder that an interface is gone.
    public func linkRemoved(interfaceIndex: Int) {
        if tunnel?.index == interfaceIndex { deviceLost() }
    }

    private func deviceLost() {
        closeTunnel()
        deviceLostCount &+= 1
        onDeviceLost?()
    }
}
