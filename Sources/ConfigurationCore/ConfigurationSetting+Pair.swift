// SPDX-License-Identifier: Apache-2.0
//
// The settings of the pair, its trackers and its virtual routers; nearly all need a restart.

import WireCore

extension PairConfiguration {
    var settings: [ConfigurationSetting] {
        var settings = [
            ConfigurationSetting(
                "pair.interface", Configuration.quoted(interface), needsRestart: true)
        ]
        for node in nodes {
            let path = "pair.nodes.\(Configuration.component(node.name))"
            settings.append(
                ConfigurationSetting(
                    path, "\(node.address), priority \(node.priority)", needsRestart: true))
            if let address = node.ipv6Address {
                settings.append(
                    ConfigurationSetting(
                        "\(path).ipv6_address", "\(address)", needsRestart: true))
            }
            if let zone = node.zone {
                settings.append(ConfigurationSetting("\(path).zone", zone))
            }
        }
        let secret = link.secretFile.map(Configuration.quoted) ?? "none"
        settings += [
            ConfigurationSetting("pair.link.port", String(link.port), needsRestart: true),
            ConfigurationSetting("pair.link.secret_file", secret, needsRestart: true),
            ConfigurationSetting(
                "pair.link.heartbeat_interval", DurationText.render(link.heartbeatInterval),
                needsRestart: true),
        ]
        return settings + track.settings + virtualRouterSettings
    }

    /// The settings of every virtual router; where two share a VRID, as they may on two interfaces
    /// or with two families, the place says which is which.
    private var virtualRouterSettings: [ConfigurationSetting] {
        virtualRouters.flatMap { router in
            let isAlone = virtualRouters.count { $0.id == router.id } == 1
            let families = AddressFamily.allCases.filter { family in
                router.addresses.contains { $0.family == family }
            }
            let place =
                isAlone
                ? String(router.id)
                : "\(router.id) \(Configuration.quoted(router.interface)) "
                    + families.map(\.rawValue).joined(separator: "+")
            return router.settings.map { name, value in
                ConfigurationSetting(
                    "pair.virtual_routers[\(place)].\(name)", value, needsRestart: true)
            }
        }
    }
}

extension VirtualRouterConfiguration {
    /// Names of keys and values in the order of the reference.
    fileprivate var settings: [(String, String)] {
        let basics = [
            ("addresses", addresses.map(\.description).joined(separator: ", ")),
            ("interface", Configuration.quoted(interface)),
            ("advertise_interval", DurationText.render(advertiseInterval)),
            ("preempt", String(preempt)),
            ("preempt_delay", DurationText.render(preemptDelay)),
            ("lease", DurationText.render(lease)),
        ]
        let own = nodes.sorted { $0.key < $1.key }.map { name, node in
            ("nodes.\(Configuration.component(name))", node.text)
        }
        return basics + own + [
            ("transport", transport.rawValue),
            ("version", String(version.rawValue)),
            ("checksum", checksum.rawValue),
            ("authentication", authentication.rawValue),
            ("virtual_mac", String(virtualMAC)),
            ("group", group.map(Configuration.quoted) ?? "none"),
            ("takeover", takeover.rawValue),
            ("announce", announce.rawValue),
            ("announce_interval", DurationText.render(announceInterval)),
        ]
    }
}

extension VirtualRouterNode {
    /// What differs, in one line.
    fileprivate var text: String {
        let parts = [
            address.map(\.description), ipv6Address.map { "IPv6 \($0)" },
            priority.map { "priority \($0)" },
        ]
        let written = parts.compactMap(\.self)
        return written.isEmpty ? "as in pair.nodes" : written.joined(separator: ", ")
    }
}

extension TrackingConfiguration {
    fileprivate var settings: [ConfigurationSetting] {
        var values: [(String, String)] = interfaces.map { interface in
            (
                "interfaces.\(Configuration.component(interface.name))",
                "penalty \(interface.penalty.text), "
                    + "up_delay \(DurationText.render(interface.upDelay))"
            )
        }
        values.append(("gateway", gateway?.text ?? "none"))
        values.append(("backends", backends?.text ?? "none"))
        values += scripts.map { script in
            ("scripts.\(Configuration.component(script.name))", script.text)
        }
        values += [
            ("worker_stall", DurationText.render(workerStall)),
            ("on_different_configuration", onDifferentConfiguration.rawValue),
        ]
        return values.map {
            ConfigurationSetting("\(KeyTable.trackPath).\($0)", $1, needsRestart: true)
        }
    }
}

extension TrackingPenalty {
    /// As in the file.
    fileprivate var text: String {
        switch self {
        case .fault: "fault"
        case .points(let points): String(points)
        }
    }
}

extension TrackedGateway {
    /// The witness in one line.
    fileprivate var text: String {
        [
            "\(address)", "interface \(Configuration.quoted(interface))",
            "interval \(DurationText.render(interval))", "fall \(fall)", "rise \(rise)",
            "penalty \(penalty?.text ?? "none")",
        ].joined(separator: ", ")
    }
}

extension TrackedBackends {
    /// The share in one line.
    fileprivate var text: String {
        let names = pools.map(Configuration.quoted).joined(separator: " ")
        return [
            "pools \(pools.isEmpty ? "all" : names)", "below \(PercentText.render(below))",
            "above \(PercentText.render(above))", "penalty \(penalty.text)",
        ].joined(separator: ", ")
    }
}

extension TrackedScript {
    /// The script in one line.
    fileprivate var text: String {
        [
            command.map(Configuration.quoted).joined(separator: " "),
            "interval \(DurationText.render(interval))",
            "timeout \(DurationText.render(timeout))", "fall \(fall)", "rise \(rise)",
            "penalty \(penalty.text)",
        ].joined(separator: ", ")
    }
}
