// SPDX-License-Identifier: Apache-2.0
//
// Goal: the directions of imports hold, in every file and in the manifest.

import Testing

@Suite struct ImportTests {
    private static let tree = SourceTree.project

    @Test func theTreeIsFound() {
        #expect(Self.tree.manifest != nil)
        #expect(Self.tree.swiftFiles.count > 50)
        #expect(Self.tree.files.contains { $0.path == "Sources/WireCore/Instant.swift" })
    }

    @Test func filesImportOnlyWhatTheirTargetMay() {
        var violations: [Violation] = []
        for file in Self.tree.swiftFiles {
            for (module, line) in TargetRules.imports(of: file) {
                guard let objection = TargetRules.objection(to: module, in: file) else {
                    continue
                }
                violations.append(
                    Violation(
                        rule: "imports", path: file.path, line: line,
                        text: "imports \(module): \(objection)"))
            }
        }
        violations.report("imports")
    }

    @Test func theManifestDeclaresWhatTheLayoutAllows() throws {
        let manifest = try #require(Self.tree.manifest)
        let targets = Manifest.targets(in: manifest)
        #expect(targets.count > 30)
        var violations: [Violation] = []
        for target in targets {
            for dependency in target.dependencies {
                guard let objection = TargetRules.objection(to: dependency, in: target.name) else {
                    continue
                }
                violations.append(
                    Violation(
                        rule: "manifest", path: manifest.path, line: target.line,
                        text: "\(target.name) depends on \(dependency): \(objection)"))
            }
        }
        violations.report("manifest")
    }

    @Test func siblingsAreImportedOnlyAsDeclared() throws {
        let manifest = try #require(Self.tree.manifest)
        let targets = Manifest.targets(in: manifest)
        let declared = Dictionary(
            targets.map { ($0.name, $0) }, uniquingKeysWith: { one, _ in one })
        #expect(declared.count == targets.count)
        var violations: [Violation] = []
        for file in Self.tree.swiftFiles {
            guard let name = file.target, let target = declared[name] else { continue }
            for (module, line) in TargetRules.imports(of: file)
            where declared[module] != nil && !target.dependencies.contains(module) {
                violations.append(
                    Violation(
                        rule: "undeclared", path: file.path, line: line,
                        text: "imports \(module), which \(name) does not depend on"))
            }
        }
        violations.report("undeclared")
    }

    @Test func everyDirectoryIsATargetAndTheOtherWayRound() throws {
        let manifest = try #require(Self.tree.manifest)
        let declared = Set(Manifest.targets(in: manifest).map(\.name))
        let present = Set(Self.tree.files.compactMap(\.target))
        #expect(declared.subtracting(present).sorted() == [])
        let swift = Set(Self.tree.swiftFiles.compactMap(\.target))
        #expect(swift.subtracting(declared).sorted() == [])
    }
}

/// The rules themselves, on made-up input: a rule that never objects protects nothing.
@Suite struct ImportRuleTests {
    @Test(arguments: [
        ("WireCore", "Glibc", false), ("WireCore", "HTTPCore", false),
        ("VRRPCore", "WireCore", true), ("VRRPCore", "HTTPCore", false),
        ("VRRPCore", "Synchronization", false), ("VRRPCore", "LinuxIO", false),
        ("BalancerCore", "HTTPCore", true), ("HTTPCore", "BalancerCore", false),
        ("BalancerCore", "ConfigurationCore", false),
        ("LinuxIO", "CLinux", true), ("NetlinkIO", "CLinux", false),
        ("NetlinkIO", "CNetlink", true), ("HTTP2IO", "CNGHTTP2", true),
        ("HealthService", "CNGHTTP2", false), ("EventLoop", "LinuxIO", true),
        ("EventLoop", "Glibc", false), ("LinuxIO", "VRRPCore", false),
        ("Telemetry", "Synchronization", true), ("EventLoop", "ProxyService", false),
        ("ProxyService", "HTTPCore", true), ("ProxyService", "LinuxIO", true),
        ("ProxyService", "CLinux", false), ("ProxyService", "Glibc", false),
        ("ProxyService", "HealthService", false), ("ProxyService", "Foundation", false),
        ("tandem", "ProxyService", true), ("tandem", "LinuxIO", true),
        ("tandem", "CLinux", false), ("tandem", "Foundation", false),
        ("WireCoreTests", "Glibc", true), ("WireCoreTests", "Foundation", false),
        ("HouseTests", "WireCore", false), ("HouseTests", "Testing", true),
    ])
    func directions(target: String, module: String, isAllowed: Bool) {
        #expect((TargetRules.objection(to: module, in: target) == nil) == isAllowed)
    }

    @Test func importsAreFoundInEveryForm() {
        let text = """
            // import Commented
            @testable import HealthService
            public import WireCore
            internal import struct LinuxIO.Errno
            import Glibc.math
            let text = "import Quoted"
            """
        let found = TargetRules.imports(of: SourceFile(path: "Sources/X/X.swift", text: text))
        #expect(found.map(\.module) == ["HealthService", "WireCore", "LinuxIO", "Glibc"])
        #expect(found.map(\.line) == [2, 3, 4, 5])
    }

    @Test func manifestTargetsAreRead() {
        let text = """
            func core(_ name: String) {}
            let package = Package(
                targets: [
                    .systemLibrary(name: "CLinux"),
                    core("HTTPCore"),
                    core("BalancerCore", ["WireCore", "HTTPCore"]),  // "Commented"
                    .target(
                        name: "WireCore",
                        swiftSettings: pure + [.enableExperimentalFeature("Lifetimes")]),
                    target(
                        "ProxyService",
                        [
                            "EventLoop",
                            "LinuxIO",
                        ]),
                    .executableTarget(name: "tandem", dependencies: ["A", "B"], swiftSettings: []),
                    tests("HouseTests", []),
                ])
            """
        let targets = Manifest.targets(in: SourceFile(path: "Package.swift", text: text))
        #expect(
            targets.map { "\($0.name): \($0.dependencies.joined(separator: " "))" } == [
                "CLinux: ", "HTTPCore: WireCore", "BalancerCore: WireCore HTTPCore", "WireCore: ",
                "ProxyService: EventLoop LinuxIO", "tandem: A B", "HouseTests: ",
            ])
        #expect(targets.map(\.line) == [4, 5, 6, 7, 10, 16, 17])
    }
}
