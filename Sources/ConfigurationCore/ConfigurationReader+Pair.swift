// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pair`.

import WireCore

extension ConfigurationReader {
    /// Key `pair`; `nil` when absent, or when a part that must be there could not be read.
    mutating func pair(in top: Section) -> PairConfiguration? {
        guard let section = section("pair", title: "pair", in: top) else { return nil }
        facts.link = section.fields["link"]?.keyRange ?? section.range
        let interface = value("interface", "interface name", in: section) {
            text throws(ScalarProblem) in
            try NameText.check(interface: text)
            return text
        }
        facts.nodesRange = section.fields["nodes"]?.keyRange
        let nodes = (named("nodes", in: section) ?? []).compactMap { node($0) }
        let link = link(in: section)
        let entries = list("virtual_routers", in: section) ?? []
        let virtualRouters = entries.enumerated().compactMap { index, entry in
            virtualRouter(entry, number: index + 1, interface: interface?.value ?? "")
        }
        guard let interface else { return nil }
        return PairConfiguration(
            interface: interface.value, nodes: nodes, link: link, virtualRouters: virtualRouters)
    }

    /// The entry of `pair.nodes` that `choice` selects; reports a name that is not there.
    mutating func localNode(_ choice: LocalNodeChoice) -> NodeConfiguration? {
        guard let range = facts.nodesRange, !facts.nodes.isEmpty else { return nil }
        let names = facts.nodes.map(\.name.value)
        let message: String
        let wanted: String
        switch choice {
        case .unchecked:
            return nil
        case .named(let name):
            if let node = node(named: name) { return node }
            guard !names.contains(name) else { return nil }
            wanted = name
            message = "no node \(Quoted.text(name)) in pair.nodes, as --node says"
        case .hostName(let name):
            let label = name.split(separator: ".").first.map(String.init) ?? name
            if let node = node(named: name) ?? node(named: label) { return node }
            guard !names.contains(name), !names.contains(label) else { return nil }
            wanted = label
            message =
                "this host is called \(Quoted.text(name)), which is not in pair.nodes; "
                + "name the node with --node"
        }
        let list = "nodes: \(Suggestion.list(names))"
        let nearest = Suggestion.nearest(to: wanted, in: names)
        error(
            range, message, suggestion: nearest.map { "did you mean \"\($0)\"? \(list)" } ?? list)
        return nil
    }

    private func node(named name: String) -> NodeConfiguration? {
        guard let node = facts.nodes.first(where: { $0.name.value == name }),
            let address = node.address, let priority = node.priority
        else { return nil }
        return NodeConfiguration(
            name: name, address: address.value, priority: priority.value, zone: node.zone)
    }

    private mutating func node(_ field: Field) -> NodeConfiguration? {
        let name = Located(value: field.name, range: field.keyRange)
        guard
            let section = open(
                field.value, path: "pair.nodes.NAME", title: "node \(Quoted.text(field.name))",
                range: field.keyRange)
        else {
            facts.nodes.append(ConfigurationFacts.Node(name: name))
            return nil
        }
        let address = value("address", "address", in: section) { text throws(ScalarProblem) in
            let address = try AddressText.ipv4(text)
            try Self.checkUnicast(address)
            return address
        }
        if let address, address.value.isLoopback {
            diagnostics.add(
                Diagnostic(
                    .warning, address.range,
                    "the address of node \(Quoted.text(field.name)) is a loopback address",
                    suggestion: "another host cannot reach it"))
        }
        let priority = integer("priority", in: section).map {
            Located(value: UInt8(clamping: $0.value), range: $0.range)
        }
        let zone = self.name("zone", in: section)
        if let zone { facts.nodeZones.append(zone) }
        facts.nodes.append(
            ConfigurationFacts.Node(
                name: name, address: address, priority: priority, zone: zone?.value))
        guard let address, let priority else { return nil }
        return NodeConfiguration(
            name: field.name, address: address.value, priority: priority.value,
            zone: zone?.value)
    }

    private mutating func link(in pair: Section) -> PairLinkConfiguration {
        let empty = Section(
            path: "pair.link", title: "pair.link", range: pair.range, fields: [:])
        let section = section("link", title: "pair.link", in: pair) ?? empty
        let port = UInt16(clamping: integerOrDefault("port", in: section))
        facts.linkPort = Located(
            value: port, range: section.fields["port"]?.value.range ?? section.range)
        facts.secretFile = filePath("secret_file", in: section)
        // A secret file that could not be read as a path was reported; do not warn as well.
        if section.fields["secret_file"] != nil { facts.link = nil }
        return PairLinkConfiguration(
            port: port, secretFile: facts.secretFile?.value,
            heartbeatInterval: durationOrDefault("heartbeat_interval", in: section))
    }

    private mutating func virtualRouter(
        _ node: ConfigurationNode, number: Int, interface: String
    ) -> VirtualRouterConfiguration? {
        guard
            let section = open(
                node, path: "pair.virtual_routers[]", title: Self.title(node, number: number),
                range: node.range)
        else { return nil }
        let id = integer("id", in: section).map {
            Located(value: UInt8(clamping: $0.value), range: $0.range)
        }
        let addresses = virtualAddresses(in: section)
        let advertiseInterval = durationOrDefault("advertise_interval", in: section)
        let preempt = booleanOrDefault("preempt", in: section)
        let preemptDelay = duration("preempt_delay", in: section)
        let lease = durationOrDefault("lease", in: section)
        let transport: AdvertisementTransport =
            choiceOrDefault("transport", in: section) == "unicast" ? .unicast : .multicast
        let delayRange = preemptDelay.flatMap { $0.value == .zero ? nil : $0.range }
        facts.virtualRouters.append(
            ConfigurationFacts.VirtualRouter(
                id: id, addresses: addresses, preempt: preempt, preemptDelay: delayRange))
        guard let id else { return nil }
        return VirtualRouterConfiguration(
            id: id.value, addresses: addresses.map { .v4($0.value) }, interface: interface,
            advertiseInterval: advertiseInterval, preempt: preempt,
            preemptDelay: preemptDelay?.value ?? .zero, lease: lease, transport: transport)
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

    private mutating func virtualAddresses(in section: Section) -> [Located<IPv4Address>] {
        let nodes = list("addresses", in: section) ?? []
        let place = "\"addresses\" in \(section.title ?? "")"
        return nodes.compactMap { node in
            value(node, "address", for: place) { text throws(ScalarProblem) in
                if IPv6Address(text) != nil {
                    throw ScalarProblem(
                        "this version does not have IPv6 virtual addresses",
                        suggestion: "write an IPv4 address")
                }
                let address = try AddressText.ipv4(text)
                try Self.checkUnicast(address)
                if address.isLoopback { throw ScalarProblem("this is a loopback address") }
                return address
            }
        }
    }

    /// An address that one host can hold.
    static func checkUnicast(_ address: IPv4Address) throws(ScalarProblem) {
        if address == .any { throw ScalarProblem("0.0.0.0 is no host's address") }
        if address.isMulticast { throw ScalarProblem("this is a multicast address") }
        if address.rawValue >> 28 == 0xF {
            throw ScalarProblem("this is a broadcast or reserved address")
        }
    }
}

extension IPv4Address {
    /// True for 127.0.0.0/8.
    fileprivate var isLoopback: Bool { rawValue >> 24 == 127 }
}
