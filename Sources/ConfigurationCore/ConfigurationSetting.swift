// SPDX-License-Identifier: Apache-2.0
//
// A configuration as a flat list of places and values, defaults filled in: what the hash covers,
// what a difference compares and what a person sees as the effective configuration.

import WireCore

/// One place in the configuration with its value as text.
public struct ConfigurationSetting: Hashable, Sendable {
    /// The place, such as `pools.web.backends.be1`; list entries carry what identifies them.
    public var path: String
    /// The value, defaults filled in.
    public var value: String
    /// What only a restart can change.
    public var needsRestart: Bool
    /// The listener or pool it belongs to: `pools.web`.
    var group: String?

    init(_ path: String, _ value: String, needsRestart: Bool = false, group: String? = nil) {
        self.path = path
        self.value = value
        self.needsRestart = needsRestart
        self.group = group
    }
}

extension Configuration {
    /// Every setting, in the order of the reference, defaults filled in.
    ///
    /// Two configurations have the same settings exactly when they mean the same: order, comments
    /// and spelling of the file play no part, the order of routes and virtual addresses does.
    public var settings: [ConfigurationSetting] {
        var settings = [
            ConfigurationSetting("workers", workers.text, needsRestart: true),
            ConfigurationSetting("zone", zone.map(Self.quoted) ?? "none"),
        ]
        if let pair { settings += pair.settings }
        for listener in listeners { settings += listener.settings }
        for pool in pools { settings += pool.settings }
        settings.append(
            ConfigurationSetting(
                "admin.http", admin.http?.description ?? "none", needsRestart: true))
        settings.append(
            ConfigurationSetting(
                "admin.socket", admin.socket.map(Self.quoted) ?? "none", needsRestart: true))
        settings += timeouts.settings + limits.settings
        return settings + AccessLogConfiguration.settings(accessLog) + resolver.settings
    }

    /// A name in a place; one with a dot is quoted, so that places stay distinct.
    static func component(_ name: String) -> String {
        name.contains(".") ? quoted(name) : name
    }

    /// Free text in quotes, so that no text can look like two settings.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }
}

extension WorkerCount {
    /// As in the file.
    var text: String {
        switch self {
        case .automatic: "auto"
        case .exactly(let count): String(count)
        }
    }
}
