// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
//
// The house plan. Direction of imports, enforced by Tests/HouseTests:
// tandem -> services -> cores -> WireCore; services -> shells -> C targets.

import PackageDescription

/// Every target: Swift 6, complete concurrency checks, no warning survives.
let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Cores: pure code; each use of an unsafe construct is spelled out.
let pure: [SwiftSetting] = common + [.strictMemorySafety()]

/// A pure target: cores depend on WireCore, and BalancerCore may use HTTPCore.
func core(_ name: String, _ dependencies: [Target.Dependency] = ["WireCore"]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: pure)
}

/// A shell (system calls) or a service (driver).
func target(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: common)
}

/// The tests of one target, named after it.
func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []
) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: common)
}

let package = Package(
    name: "tandem",
    products: [.executable(name: "tandem", targets: ["tandem"])],
    targets: [
        // C only: module maps and static inline shims, no logic.
        .systemLibrary(name: "CCares", pkgConfig: "libcares"),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CNFTables", pkgConfig: "libnftables"),
        .systemLibrary(name: "CNetlink", pkgConfig: "libnl-route-3.0"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto"),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1"),
        .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2"),

        // Cores.
        .target(
            name: "WireCore",
            // A reader over borrowed bytes states how long it may live.
            swiftSettings: pure + [.enableExperimentalFeature("Lifetimes")]),
        core("HTTPCore"),
        core("BalancerCore", ["WireCore", "HTTPCore"]),
        core("VRRPCore"),
        core("ReplicationCore"),
        core("ConfigurationCore"),

        // Shells.
        target("LinuxIO", ["CLinux", "WireCore"]),
        target("EventLoop", ["LinuxIO", "WireCore"]),
        target("DNSIO", ["CCares", "EventLoop", "LinuxIO", "WireCore"]),
        target("NetlinkIO", ["CNetlink", "LinuxIO", "WireCore"]),
        target("NFTablesIO", ["CNFTables", "WireCore"]),
        target("TLSIO", ["COpenSSL", "WireCore"]),
        target("YAMLIO", ["CYAML"]),
        target("HTTP2IO", ["CNGHTTP2"]),
        target("Telemetry", ["LinuxIO", "WireCore"]),

        // Services.
        target(
            "ConfigurationService",
            ["ConfigurationCore", "LinuxIO", "WireCore", "YAMLIO"]),
        target(
            "ProxyService",
            [
                "BalancerCore", "ConfigurationCore", "EventLoop", "HTTPCore", "LinuxIO",
                "ReplicationCore", "TLSIO", "Telemetry", "WireCore",
            ]),
        target(
            "VRRPService",
            [
                "ConfigurationCore", "EventLoop", "LinuxIO", "NetlinkIO", "Telemetry",
                "VRRPCore", "WireCore",
            ]),
        target(
            "ReplicationService",
            [
                "ConfigurationCore", "EventLoop", "LinuxIO", "ReplicationCore", "TLSIO",
                "Telemetry", "WireCore",
            ]),
        target(
            "HealthService",
            [
                "BalancerCore", "ConfigurationCore", "EventLoop", "HTTP2IO", "HTTPCore", "LinuxIO",
                "Telemetry", "WireCore",
            ]),
        target(
            "NameService",
            [
                "BalancerCore", "ConfigurationCore", "DNSIO", "EventLoop", "LinuxIO", "Telemetry",
                "WireCore",
            ]),
        target(
            "AdminService",
            ["EventLoop", "HTTPCore", "LinuxIO", "Telemetry", "WireCore"]),
        target(
            "DrillService",
            ["EventLoop", "HTTPCore", "LinuxIO", "Telemetry", "WireCore"]),

        .executableTarget(
            name: "tandem",
            dependencies: [
                "AdminService", "BalancerCore", "ConfigurationCore", "ConfigurationService",
                "DrillService", "EventLoop", "HealthService", "LinuxIO", "NFTablesIO",
                "NameService", "ProxyService",
                "ReplicationCore", "ReplicationService", "TLSIO", "Telemetry", "VRRPCore",
                "VRRPService", "WireCore",
            ],
            swiftSettings: common),

        // Tests, and what several of them need.
        .target(
            name: "AccessLogLaboratory", path: "Tests/AccessLogLaboratory",
            swiftSettings: common),
        .target(
            name: "NameLaboratory", dependencies: ["EventLoop", "LinuxIO", "WireCore"],
            path: "Tests/NameLaboratory", swiftSettings: common),
        .target(
            name: "NamespaceLaboratory", dependencies: ["LinuxIO", "WireCore"],
            path: "Tests/NamespaceLaboratory", swiftSettings: common),
        tests("WireCoreTests", ["WireCore"]),
        tests("HTTPCoreTests", ["HTTPCore", "LinuxIO", "WireCore"]),
        tests("BalancerCoreTests", ["BalancerCore", "WireCore"]),
        tests("VRRPCoreTests", ["LinuxIO", "TLSIO", "VRRPCore", "WireCore"]),
        tests("ReplicationCoreTests", ["ReplicationCore", "WireCore"]),
        tests("ConfigurationCoreTests", ["ConfigurationCore", "WireCore"]),
        tests("LinuxIOTests", ["LinuxIO", "NamespaceLaboratory", "WireCore"]),
        tests("EventLoopTests", ["EventLoop", "LinuxIO", "WireCore"]),
        tests(
            "NetlinkIOTests", ["LinuxIO", "NamespaceLaboratory", "NetlinkIO", "WireCore"]),
        tests(
            "NFTablesIOTests",
            ["EventLoop", "LinuxIO", "NamespaceLaboratory", "NFTablesIO", "WireCore"]),
        tests("DNSIOTests", ["DNSIO", "EventLoop", "LinuxIO", "NameLaboratory", "WireCore"]),
        tests("TLSIOTests", ["TLSIO", "WireCore"]),
        tests(
            "TelemetryTests", ["AccessLogLaboratory", "LinuxIO", "Telemetry", "WireCore"]),
        tests(
            "ConfigurationServiceTests",
            ["ConfigurationCore", "ConfigurationService", "LinuxIO", "WireCore", "YAMLIO"],
            exclude: ["Golden"]),
        tests(
            "ProxyServiceTests",
            [
                "AccessLogLaboratory", "BalancerCore", "ConfigurationCore", "EventLoop", "HTTPCore",
                "LinuxIO", "ProxyService", "ReplicationCore", "TLSIO", "Telemetry",
                "WireCore",
            ]),
        tests(
            "VRRPServiceTests",
            [
                "ConfigurationCore", "EventLoop", "LinuxIO", "NamespaceLaboratory", "NetlinkIO",
                "Telemetry", "VRRPCore", "VRRPService", "WireCore",
            ]),
        tests(
            "ReplicationServiceTests",
            [
                "ConfigurationCore", "EventLoop", "LinuxIO", "NamespaceLaboratory",
                "ReplicationCore", "ReplicationService", "TLSIO", "Telemetry", "WireCore",
            ]),
        tests("HTTP2IOTests", ["HTTP2IO"]),
        tests(
            "HealthServiceTests",
            [
                "BalancerCore", "ConfigurationCore", "EventLoop", "HTTP2IO", "HTTPCore",
                "HealthService", "LinuxIO", "Telemetry", "WireCore",
            ]),
        tests(
            "NameServiceTests",
            [
                "BalancerCore", "ConfigurationCore", "DNSIO", "EventLoop", "LinuxIO",
                "NameLaboratory", "NameService", "Telemetry", "WireCore",
            ]),
        tests(
            "AdminServiceTests",
            ["AdminService", "EventLoop", "LinuxIO", "Telemetry", "WireCore"]),
        tests(
            "DrillServiceTests",
            ["DrillService", "EventLoop", "HTTPCore", "LinuxIO", "Telemetry", "WireCore"]),
        tests(
            "SimulationTests", ["BalancerCore", "ReplicationCore", "VRRPCore", "WireCore"],
            exclude: ["README.md"]),
        tests("HouseTests", []),
    ]
)
