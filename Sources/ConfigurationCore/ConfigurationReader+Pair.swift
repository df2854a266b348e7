// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pair`: nodes and link; trackers and virtual routers are read beside this.

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
        facts.pairInterface = interface
        let track = tracking(in: section, interface: interface?.value ?? "")
        let virtualRouters = virtualRouters(in: section, interface: interface?.value ?? "")
        guard let interface else { return nil }
        return PairConfiguration(
            interface: interface.value, nodes: nodes, link: link, virtualRouters: virtualRouters,
            track: track)
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
            name: name, address: address.value, priority: priority.value, zone: node.zone,
            ipv6Address: node.ipv6Address?.value)
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
        let address = ownAddress("address", in: section)
        let ipv6Address = ownIPv6Address("ipv6_address", in: section)
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
                name: name, address: address, ipv6Address: ipv6Address, priority: priority,
                zone: zone?.value))
        guard let address, let priority else { return nil }
        return NodeConfiguration(
            name: field.name, address: address.value, priority: priority.value,
            zone: zone?.value, ipv6Address: ipv6Address?.value)
    }

    /// A node's own IPv4 address.
    mutating func ownAddress(_ name: String, in section: Section) -> Located<IPv4Address>? {
        value(name, "address", in: section) { text throws(ScalarProblem) in
            let address = try AddressText.ipv4(text)
            try Self.checkUnicast(address)
            return address
        }
    }

    /// A node's own IPv6 address.
    mutating func ownIPv6Address(_ name: String, in section: Section) -> Located<IPv6Address>? {
        value(name, "address", in: section) { text throws(ScalarProblem) in
            let address = try AddressText.ipv6(text)
            try Self.checkUnicast(address)
            return address
        }
    }

    private mutating func link(in pair: Section) -> PairLinkConfiguration {
        let empty = Section(
            path: "pair.link", title: "pair.link", range: pair.range, fields: [:])
        let section = section("link", title: "pair.link", in: pair) ?? empty
        facts.linkKey = pair.fields["link"]?.keyRange
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

    /// An address that one host can hold.
    static func checkUnicast(_ address: IPv4Address) throws(ScalarProblem) {
        if address == .any { throw ScalarProblem("0.0.0.0 is no host's address") }
        if address.isMulticast { throw ScalarProblem("this is a multicast address") }
        if address.rawValue >> 28 == 0xF {
            throw ScalarProblem("this is a broadcast or reserved address")
        }
    }

    /// An address that one host can hold.
    static func checkUnicast(_ address: IPv6Address) throws(ScalarProblem) {
        if address == .any { throw ScalarProblem(":: is no host's address") }
        if address.isMulticast { throw ScalarProblem("this is a multicast address") }
        if address == .loopback { throw ScalarProblem("this is a loopback address") }
        if case .v4(let inner) = IPAddress.v6(address).unmapped {
            throw .didYouMean("this is an IPv4 address in IPv6 form", "\(inner)")
        }
    }
}

extension IPv4Address {
    /// True for 127.0.0.0/8.
    var isLoopback: Bool { rawValue >> 24 == 127 }
}
