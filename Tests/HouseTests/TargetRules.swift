// SPDX-License-Identifier: Apache-2.0
//
// Who may import whom: the layout of the house as data, and the reading of imports and of the
// manifest.

/// What kind of code a target holds; its name says it.
enum TargetKind: Hashable {
    /// Pure code: no clock, no randomness, no input or output.
    case core
    /// System calls and what is built right on them.
    case shell
    /// A driver: feeds events to cores and performs their actions.
    case service
    /// The program.
    case executable
    /// A module map of a C library.
    case cModule
    /// Tests, and the laboratories that several of them share.
    case tests

    init?(target: String) {
        if target.hasSuffix("Tests") || target.hasSuffix("Laboratory") {
            self = .tests
        } else if target.hasSuffix("Core") {
            self = .core
        } else if target.hasSuffix("Service") {
            self = .service
        } else if target.hasSuffix("IO") || ["EventLoop", "Telemetry"].contains(target) {
            self = .shell
        } else if target == "tandem" {
            self = .executable
        } else if target.hasPrefix("C") {
            self = .cModule
        } else {
            return nil
        }
    }
}

/// The directions of imports.
enum TargetRules {
    /// Modules of the toolchain that nobody imports: they pull in a second event loop, a second
    /// string library, or threads that no loop owns.
    static let bannedModules: Set<String> = [
        "Foundation", "FoundationEssentials", "FoundationNetworking", "Dispatch", "XCTest",
    ]
    /// The one shell that may import each C module.
    static let cModuleOwners = [
        "CCares": "DNSIO", "CLinux": "LinuxIO", "CNGHTTP2": "HTTP2IO", "CNetlink": "NetlinkIO",
        "COpenSSL": "TLSIO", "CYAML": "YAMLIO",
    ]
    /// Shells that may import the C library beside their C module.
    static let libcShells: Set<String> = ["LinuxIO", "NetlinkIO", "TLSIO", "YAMLIO"]

    /// Why `file` may not import `module`; outside the targets only banned modules are refused.
    static func objection(to module: String, in file: SourceFile) -> String? {
        if let target = file.target { return objection(to: module, in: target) }
        return bannedModules.contains(module) && file.name != "Package.swift"
            ? "nobody imports \(module)" : nil
    }

    /// Why `target` may not import `module`; `nil` when it may.
    static func objection(to module: String, in target: String) -> String? {
        if bannedModules.contains(module) { return "nobody imports \(module)" }
        guard let kind = TargetKind(target: target) else { return "unknown kind of target" }
        if let owner = cModuleOwners[module], target != owner {
            return "\(module) belongs to \(owner)"
        }
        switch kind {
        case .core: return objectionInCore(to: module, in: target)
        case .shell: return objectionInShell(to: module, in: target)
        case .service: return objectionInService(to: module)
        case .executable:
            return TargetKind(target: module) == nil && module != "Synchronization"
                ? "the program imports services, cores and shells" : nil
        case .tests: return objectionInTests(to: module, in: target)
        case .cModule: return "a C module imports nothing"
        }
    }

    /// Cores know the wire types; the balancer also knows HTTP.
    private static func objectionInCore(to module: String, in target: String) -> String? {
        if module == "WireCore", target != "WireCore" { return nil }
        if module == "HTTPCore", target == "BalancerCore" { return nil }
        return "a core imports nothing but the wire types"
    }

    private static func objectionInShell(to module: String, in target: String) -> String? {
        switch TargetKind(target: module) {
        case .core:
            return module == "WireCore" ? nil : "a shell imports no core but the wire types"
        case .shell, .cModule:
            return nil
        case .service, .executable, .tests:
            return "a shell imports no driver"
        case nil:
            if module == "Synchronization" { return nil }
            if module == "Glibc", libcShells.contains(target) { return nil }
            return "a shell imports its C module, not \(module)"
        }
    }

    private static func objectionInService(to module: String) -> String? {
        switch TargetKind(target: module) {
        case .core, .shell: return nil
        case .service: return "a driver imports no other driver"
        case .executable, .tests: return "a driver imports no program"
        case .cModule: return "a driver calls the system through a shell"
        case nil:
            return module == "Synchronization"
                ? nil : "a driver calls the system through a shell, not \(module)"
        }
    }

    private static func objectionInTests(to module: String, in target: String) -> String? {
        guard target == "HouseTests", TargetKind(target: module) != nil else { return nil }
        return "the tests of the house depend on no target"
    }

    /// The modules that a file imports, with the lines that do it.
    static func imports(of file: SourceFile) -> [(module: String, line: Int)] {
        file.codeLines.enumerated().compactMap { index, line in
            importedModule(line).map { ($0, index + 1) }
        }
    }

    private static let modifiers: Set<Substring> = [
        "public", "internal", "private", "fileprivate", "package",
    ]
    private static let symbolKinds: Set<Substring> = [
        "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
    ]

    private static func importedModule(_ line: Substring) -> String? {
        var words = line.split(separator: " ")[...]
        while let word = words.first, word.hasPrefix("@") || modifiers.contains(word) {
            words = words.dropFirst()
        }
        guard words.first == "import" else { return nil }
        words = words.dropFirst()
        if let kind = words.first, symbolKinds.contains(kind) { words = words.dropFirst() }
        return words.first?.split(separator: ".").first.map(String.init)
    }
}
