// SPDX-License-Identifier: Apache-2.0
//
// Every message of the configuration reader, word for word. TANDEM_REGENERATE_GOLDEN=1 writes the
// outputs anew; read the difference before it is committed.

import ConfigurationService
import Glibc
import LinuxIO
import Testing

@Suite struct GoldenTests {
    static let names: [String] = {
        var names: [String] = []
        guard let folder = opendir("\(GoldenFile.folder)/Golden") else { return [] }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".golden") { names.append(String(name.dropLast(7))) }
        }
        return names.sorted()
    }()

    @Test(arguments: names) func givesTheExpectedText(name: String) throws {
        try #require(GoldenFile.hasSecretFile)
        let golden = try GoldenFile(name: name)
        let output = Self.output(for: golden)
        if getenv("TANDEM_REGENERATE_GOLDEN") != nil {
            try golden.replace(output: output)
        } else {
            #expect(output == golden.output)
        }
    }

    @Test func thereAreGoldensForEveryMessageFamily() {
        #expect(Self.names.count >= 80)
    }

    @Test(arguments: names) func exitCodeFollowsFromTheNameAndTheText(name: String) throws {
        try #require(GoldenFile.hasSecretFile)
        let golden = try GoldenFile(name: name)
        let (exitCode, text) = ConfigurationLoader.check(
            Array(golden.input.utf8), name: "tandem.yaml")
        #expect((exitCode == 0) == text.contains("tandem.yaml: ok: "))
        #expect((exitCode == 1) == text.contains(": error: "))
        if name.hasPrefix("ok-") { #expect(exitCode == 0) }
    }

    private static func output(for golden: GoldenFile) -> String {
        let bytes = Array(golden.input.utf8)
        guard let node = golden.node else {
            let (exitCode, text) = ConfigurationLoader.check(bytes, name: "tandem.yaml")
            return "\(text)exit \(exitCode)\n"
        }
        let result = ConfigurationLoader.load(bytes, name: "tandem.yaml", node: .named(node))
        switch result {
        case .success(let loaded): return "\(loaded.warningText)loaded\n"
        case .failure(let rejected): return "\(rejected.text)rejected\n"
        }
    }
}
