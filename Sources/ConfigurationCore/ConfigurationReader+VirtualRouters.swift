// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pair.virtual_routers`.

import WireCore

extension ConfigurationReader {
    /// The most virtual addresses of one family; an advert of 20 IPv6 addresses still fits the
    /// smallest IPv6 packet that every link carries.
    static let virtualAddressCountMax = 20

    /// Key `virtual_routers`; `interface` is the pair's.
    mutating func virtualRouters(
        in pair: Section, interface: String
    ) -> [VirtualRouterConfiguration] {
        let entries = list("virtual_routers", in: pair) ?? []
        return entries.enumerated().compactMap { index, entry in
            virtualRouter(entry, number: index + 1, interface: interface)
        }
    }

    private mutating func virtualRouter(
        _ node: ConfigurationNode, number: Int, interface: String
    ) -> VirtualRouterConfiguration? {
        let title = Self.title(node, number: number)
        guard
            let section = open(
                node, path: KeyTable.virtualRouterPath, title: title, range: node.range)
        else { return nil }
        let id = integer("id", in: section).map {
            Located(value: UInt8(clamping: $0.value), range: $0.range)
        }
        let addresses = virtualAddresses(in: section)
        let own = interfaceName("interface", in: section)
        let nodes = routerNodes(in: section)
        var router = VirtualRouterConfiguration(
            id: id?.value ?? 0, addresses: addresses.read.map(\.value),
            interface: own?.value ?? interface,
            advertiseInterval: durationOrDefault("advertise_interval", in: section),
            preempt: booleanOrDefault("preempt", in: section),
            preemptDelay: durationOrDefault("preempt_delay", in: section),
            lease: durationOrDefault("lease", in: section),
            transport: choice(in: section, "transport") ?? .multicast)
        router.nodes = Dictionary(
            nodes.map { ($0.name.value, VirtualRouterNode($0)) }
        ) { first, _ in first }
        router.version = integerOrDefault("version", in: section) == 2 ? .version2 : .version3
        router.checksum = choice(in: section, "checksum") ?? .rfc9568
        router.authentication = choice(in: section, "authentication") ?? .off
        router.virtualMAC = booleanOrDefault("virtual_mac", in: section)
        router.group = name("group", in: section)?.value
        router.takeover = choice(in: section, "takeover") ?? .safe
        let announce: AnnounceMode? = choice(in: section, "announce")
        router.announce = announce ?? .lan
        router.announceInterval = durationOrDefault("announce_interval", in: section)
        facts.virtualRouters.append(
            ConfigurationFacts.VirtualRouter(
                title: title, range: node.range, id: id, addresses: addresses.read,
                hasUnreadableAddresses: !addresses.isComplete, settings: router,
                keys: section.fields.mapValues(\.keyRange),
                values: section.fields.mapValues(\.value.range),
                hasReadableAnnounce: announce != nil || section.fields["announce"] == nil,
                nodes: nodes))
        return id == nil ? nil : router
    }

    /// One of the words of a type; `nil` when absent or bad.
    mutating func choice<Choice: RawRepresentable<String>>(
        in section: Section, _ name: String
    ) -> Choice? {
        choice(name, in: section).flatMap { Choice(rawValue: $0) }
    }

    /// The name of an interface; `nil` when absent or bad.
    mutating func interfaceName(_ name: String, in section: Section) -> Located<String>? {
        value(name, "interface name", in: section) { text throws(ScalarProblem) in
            try NameText.check(interface: text)
            return text
        }
    }

    /// Key `nodes` of a virtual router.
    private mutating func routerNodes(in router: Section) -> [ConfigurationFacts.Node] {
        let fields = named("nodes", in: router) ?? []
        return fields.compactMap { field in
            let title = "node \(Quoted.text(field.name)) of \(router.title ?? "")"
            guard
                let section = open(
                    field.value, path: "\(KeyTable.virtualRouterPath).nodes.NAME", title: title,
                    range: field.keyRange)
            else { return nil }
            return ConfigurationFacts.Node(
                name: Located(value: field.name, range: field.keyRange),
                address: ownAddress("address", in: section),
                ipv6Address: ownIPv6Address("ipv6_address", in: section),
                priority: integer("priority", in: section).map {
                    Located(value: UInt8(clamping: $0.value), range: $0.range)
                })
        }
    }

    /// `virtual router 51` by its id, or its place in the list while the id is unreadable.
    private static func title(_ node: ConfigurationNode, number: Int) -> String {
        if case .mapping(let entries) = node.content,
            let id = entries.first(where: { $0.key.content == .scalar("id", isPlain: true) }),
            case .scalar(let text, _) = id.value.content, UInt8(text) != nil
        {
            return "virtual router \(text)"
        }
        return "entry \(number) of virtual_routers"
    }

    private mutating func virtualAddresses(
        in section: Section
    ) -> (read: [Located<IPAddress>], isComplete: Bool) {
        let nodes = list("addresses", in: section) ?? []
        let place = "\"addresses\" in \(section.title ?? "")"
        // RFC 9568 §5.2.9: a link-local address that belongs to the virtual router goes before its
        // others, and keepalived drops adverts with another one there.
        let mayBeLinkLocal = nodes.contains { node in
            guard case .scalar(let text, _) = node.content,
                let address = try? AddressText.ip(text), address.family == .ipv6
            else { return false }
            return (try? Self.checkVirtual(address, mayBeLinkLocal: false)) != nil
        }
        let read = nodes.compactMap { node in
            value(node, "address", for: place) { text throws(ScalarProblem) in
                let address = try AddressText.ip(text)
                try Self.checkVirtual(address, mayBeLinkLocal: mayBeLinkLocal)
                return address
            }
        }
        for family in AddressFamily.allCases {
            let own = read.filter { $0.value.family == family }
            guard own.count > Self.virtualAddressCountMax else { continue }
            error(
                own[Self.virtualAddressCountMax].range,
                "\(section.title ?? "") has \(own.count) \(family == .ipv4 ? "IPv4" : "IPv6") "
                    + "addresses; allowed are \(Self.virtualAddressCountMax)",
                suggestion: "give the others a virtual router of their own; a group keeps them "
                    + "together")
        }
        return (read, !nodes.isEmpty && read.count == nodes.count)
    }

    /// An address that moves from host to host.
    private static func checkVirtual(
        _ address: IPAddress, mayBeLinkLocal: Bool
    ) throws(ScalarProblem) {
        switch address {
        case .v4(let address):
            try checkUnicast(address)
            if address.isLoopback { throw ScalarProblem("this is a loopback address") }
        case .v6(let address):
            try checkUnicast(address)
            if address.isLinkLocal, !mayBeLinkLocal {
                throw ScalarProblem(
                    "a link-local address belongs to one interface and cannot move",
                    suggestion: "write a unique local (fd00::/8) or global address")
            }
        }
    }
}

extension VirtualRouterNode {
    /// What could be read of one.
    fileprivate init(_ node: ConfigurationFacts.Node) {
        self.init(
            priority: node.priority?.value, address: node.address?.value,
            ipv6Address: node.ipv6Address?.value)
    }
}
