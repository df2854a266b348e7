// SPDX-License-Identifier: Apache-2.0
//
// Goal: no value of the configuration escapes the hash. Method: one mutation per value of a
// configuration that has everything; reflection proves that no value was left out.

import Testing
import WireCore

@testable import ConfigurationCore

@Suite struct ConfigurationLeafTests {
    private static let configuration = FullConfiguration.make()

    @Test(arguments: ConfigurationMutation.all.indices)
    func everyMutationChangesHashAndDifference(index: Int) {
        let mutation = ConfigurationMutation.all[index]
        var changed = Self.configuration
        mutation.apply(&changed)
        #expect(changed != Self.configuration, "\(mutation.name) changes nothing")
        #expect(
            ConfigurationHash(changed) != ConfigurationHash(Self.configuration),
            "\(mutation.name)")
        let difference = ConfigurationDifference(from: Self.configuration, to: changed)
        #expect(!difference.isEmpty, "\(mutation.name)")
        #expect(difference.isApplicableLive != mutation.needsRestart, "\(mutation.name)")
    }

    @Test func mutationsReachEveryValue() {
        let before = ConfigurationLeaf.all(of: Self.configuration)
        var reached: Set<String> = []
        for mutation in ConfigurationMutation.all {
            var changed = Self.configuration
            mutation.apply(&changed)
            let after = ConfigurationLeaf.all(of: changed)
            for (path, value) in before where after[path] != value {
                reached.insert(ConfigurationLeaf.withoutIndices(path))
            }
        }
        let wanted = Set(before.keys.map(ConfigurationLeaf.withoutIndices))
        #expect(wanted.subtracting(reached).sorted() == [])
        #expect(wanted.count > 80)
    }

    @Test(arguments: ["Authorization", "X-API-Key", "Cookie", "x-access-token"])
    func secretsShowThatTheyChangedAndNothingElse(name: String) {
        var one = Self.configuration
        one.listeners[0].routes[0].requestHeaders.set = [
            HeaderEdits.Header(name: name, value: "hunter2")
        ]
        one.listeners[0].routes[0].match.headers = [
            RouteMatch.Condition(name: HeaderText.lowercased(name), value: "hunter2")
        ]
        #expect(!one.settings.contains { $0.value.contains("hunter2") })
        var other = one
        other.listeners[0].routes[0].requestHeaders.set[0].value = "hunter3"
        let difference = ConfigurationDifference(from: one, to: other)
        #expect(difference.changes.map(\.path) == ["listeners.web.routes[1]"])
        #expect(!difference.render().contains("hunter"))
    }

    @Test func noTwoMutationsHaveTheSameHash() {
        let hashes = ConfigurationMutation.all.map { mutation in
            var changed = Self.configuration
            mutation.apply(&changed)
            return ConfigurationHash(changed)
        }
        #expect(Set(hashes).count == hashes.count)
    }
}

/// A value of a configuration as reflection finds it.
enum ConfigurationLeaf {
    /// Values by their place.
    static func all(of configuration: Configuration) -> [String: String] {
        var leaves: [String: String] = [:]
        collect(configuration, "", into: &leaves)
        return leaves
    }

    /// `a[3].b` as `a[].b`.
    static func withoutIndices(_ path: String) -> String {
        path.split(separator: "[", omittingEmptySubsequences: false).enumerated().map {
            index, part in
            index == 0 ? String(part) : "[" + part.drop { $0 != "]" }
        }.joined()
    }

    private static func collect(_ value: Any, _ path: String, into leaves: inout [String: String]) {
        let mirror = Mirror(reflecting: value)
        let isAtom =
            value is TimeSpan || value is IPAddress || value is IPv4Address || value is Endpoint
            || value is IPNetwork || value is IPv6Address || value is String
        if isAtom || mirror.children.isEmpty {
            leaves[path] = String(describing: value)
            return
        }
        let isList = mirror.displayStyle == .collection
        for (index, child) in mirror.children.enumerated() {
            let step = isList ? "[\(index)]" : ".\(child.label ?? "?")"
            collect(child.value, path + step, into: &leaves)
        }
    }
}
