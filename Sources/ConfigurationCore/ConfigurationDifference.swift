// SPDX-License-Identifier: Apache-2.0
//
// What a reload would change, and whether it may.

/// The difference between the configuration in force and a new one.
public struct ConfigurationDifference: Hashable, Sendable {
    /// One place that differs.
    public struct Change: Hashable, Sendable {
        /// The place: `pools.web.backends.be4`.
        public var path: String
        /// The value in force; `nil` when the place is new.
        public var before: String?
        /// The new value; `nil` when the place is gone.
        public var after: String?
        /// True when only a restart can make the change.
        public var needsRestart: Bool
    }

    /// Places that differ: first in the order of the old settings, then what is new.
    public var changes: [Change]

    /// Compares the configuration in force with a new one.
    public init(from old: Configuration, to new: Configuration) {
        let oldSettings = Self.collapsed(old.settings, comparedWith: new.settings)
        let newSettings = Self.collapsed(new.settings, comparedWith: old.settings)
        let before = Self.byPath(oldSettings)
        let after = Self.byPath(newSettings)
        var changes: [Change] = []
        for setting in oldSettings where after[setting.path]?.value != setting.value {
            changes.append(
                Change(
                    path: setting.path, before: setting.value, after: after[setting.path]?.value,
                    needsRestart: setting.needsRestart))
        }
        for setting in newSettings where before[setting.path] == nil {
            changes.append(
                Change(
                    path: setting.path, before: nil, after: setting.value,
                    needsRestart: setting.needsRestart))
        }
        self.changes = changes
    }

    /// True when both configurations mean the same.
    public var isEmpty: Bool { changes.isEmpty }

    /// The changes that a reload makes.
    public var live: [Change] { changes.filter { !$0.needsRestart } }

    /// The changes that forbid a reload.
    public var restartOnly: [Change] { changes.filter(\.needsRestart) }

    /// True when a reload may make all changes.
    public var isApplicableLive: Bool { restartOnly.isEmpty }

    /// Why a reload is refused, naming each key; `nil` when it is not.
    public var refusal: String? {
        let blocking = restartOnly
        if blocking.isEmpty { return nil }
        let keys = blocking.count == 1 ? "this key needs" : "these keys need"
        let lines = blocking.map { "  \($0)\n" }.joined()
        return
            "reload refused, the configuration in force stays: \(keys) a restart\n\(lines)"
    }

    /// One line per change; empty when there is none.
    public func render() -> String {
        changes.map { "\($0)\($0.needsRestart ? " (needs a restart)" : "")\n" }.joined()
    }

    /// Settings that one line tells of a pool or listener that comes or goes.
    private static let partCountMax = 12

    /// Listeners and pools that only one side has become one setting each.
    private static func collapsed(
        _ settings: [ConfigurationSetting], comparedWith other: [ConfigurationSetting]
    ) -> [ConfigurationSetting] {
        let groups = Set(other.compactMap(\.group))
        var result: [ConfigurationSetting] = []
        var partCount = 0
        for setting in settings {
            guard let group = setting.group, !groups.contains(group) else {
                result.append(setting)
                continue
            }
            if let last = result.last, last.path == group {
                partCount += 1
                // Thousands of backends are not told one by one.
                if partCount < partCountMax {
                    result[result.count - 1].value = "\(last.value); \(setting.value)"
                } else if partCount == partCountMax {
                    result[result.count - 1].value = "\(last.value); ..."
                }
            } else {
                partCount = 1
                // A listener opens or closes sockets, which a reload does not do.
                let needsRestart = group.hasPrefix("listeners.")
                result.append(
                    ConfigurationSetting(group, setting.value, needsRestart: needsRestart))
            }
        }
        return result
    }

    private static func byPath(
        _ settings: [ConfigurationSetting]
    ) -> [String: ConfigurationSetting] {
        Dictionary(settings.map { ($0.path, $0) }) { first, _ in first }
    }
}

extension ConfigurationDifference.Change: CustomStringConvertible {
    /// `pools.web.backends.be4: added (10.77.0.24:8080, weight 1)`.
    public var description: String {
        switch (before, after) {
        case (let before?, let after?): "\(path): \(before) -> \(after)"
        case (nil, let after?): "\(path): added (\(after))"
        case (let before?, nil): "\(path): removed (\(before))"
        case (nil, nil): path
        }
    }
}
