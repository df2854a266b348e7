// SPDX-License-Identifier: Apache-2.0
//
// The labels that every sample of a virtual router carries.

internal import WireCore

/// Names a virtual router in metrics: `vrid`, `family`, `interface`.
struct InstanceLabels {
    private let router: String
    private let family: String
    private let interface: String

    init(_ instance: VirtualRouterInstance) {
        router = String(instance.virtualRouterID)
        family = instance.family.rawValue
        interface = instance.interface
    }

    /// The labels alone.
    var own: KeyValuePairs<String, String> {
        ["vrid": router, "family": family, "interface": interface]
    }

    /// The labels and one more.
    func with(_ name: String, _ value: String) -> KeyValuePairs<String, String> {
        ["vrid": router, "family": family, "interface": interface, name: value]
    }

    /// The labels and two more.
    func with(
        _ name: String, _ value: String, _ otherName: String, _ otherValue: String
    ) -> KeyValuePairs<String, String> {
        [
            "vrid": router, "family": family, "interface": interface, name: value,
            otherName: otherValue,
        ]
    }
}
