// SPDX-License-Identifier: Apache-2.0
//
// Goal: no file stops the process. Method: seeded mutations of the example, of files with every key
// and of files full of mistakes run through the whole loader; each must give a configuration or an
// error with a place that lies in the file.

import ConfigurationCore
import ConfigurationService
import LinuxIO
import Testing
import WireCore

@Suite struct ConfigurationFuzzTests {
    private static let roundsPerSeed = 150

    /// Pieces with a meaning to YAML or to the reader.
    private static let pieces: [[UInt8]] =
        [
            "&a ", "*a", "!!int ", "---\n", "...\n", "? ", ": ", "- ", "[", "]", "{", "}", "\"",
            "'",
            "|\n", ">\n", "\t", "#", "%", "@", "`", ",", "\r", "\r\n", "\u{85}", "\u{2028}",
            "\u{FEFF}", "\u{E9}", "\u{1F600}", "<<: ", "null", "~", "yes", "-1", "0", "65536",
            "99999999999999999999", "1e9", ".inf", "0x10", "255.255.255.255:65535", "::1",
            "[::]:80",
            "10parsecs", "18446744073709551615s", "0.0000000001s", "auto", "least_time",
            "10.77.0.100",
            "64KiB", "64kB", "1.5MiB", "99999999999GiB", "0.01", "5%", "10.0.0.0/8", "::/129",
            "10.0.0.1/", "header:", "client", "{ present: true }", "X-Forwarded-For", "Host",
            "pool: web", "protocol: tcp", "redirect: {}", "respond: {}", "503", "%2F", "$",
            "  ", "\n", "\n\n", "\\", "*.", "/", "\u{0}", "\u{7F}",
        ].map { Array($0.utf8) } + [[0xFF], [0xC3], [0xED, 0xA0, 0x80]]

    @Test(arguments: 0..<16)
    func everyMutationIsLoadedOrRefusedWithAPlace(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let root = GoldenFile.folder.split(separator: "/").dropLast(2).map { "/\($0)" }.joined()
        let example = try FileSystem.read(path: "\(root)/netns/pair.yaml", byteCountMax: 1 << 20)
        let files =
            [example] + (try Self.goldens.map { Array(try GoldenFile(name: $0).input.utf8) })
        for round in 0..<Self.roundsPerSeed {
            var bytes = files[round % files.count]
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                Self.mutate(&bytes, using: &generator)
            }
            Self.check(bytes, "seed \(seed) round \(round)")
        }
    }

    /// Files with every key, and with mistakes in many.
    private static let goldens = [
        "ok-every-http-key", "ok-every-key", "ok-every-pool-key", "ten-mistakes",
        "ten-mistakes-http",
    ]

    @Test(arguments: goldens)
    func everyPrefixIsLoadedOrRefusedWithAPlace(name: String) throws {
        let mistakes = Array(try GoldenFile(name: name).input.utf8)
        for count in 0...mistakes.count {
            Self.check(Array(mistakes.prefix(count)), "prefix \(count)")
        }
    }

    private static func check(_ bytes: [UInt8], _ label: String) {
        let diagnostics: [Diagnostic]
        let text: String
        switch ConfigurationLoader.load(bytes, name: "f", node: .unchecked) {
        case .success(let loaded):
            diagnostics = loaded.warnings
            text = loaded.warningText
            #expect(diagnostics.allSatisfy { $0.severity == .warning }, "\(label)")
        case .failure(let rejected):
            diagnostics = rejected.diagnostics
            text = rejected.text
            #expect(diagnostics.contains { $0.severity == .error }, "\(label)")
        }
        let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        let source = SourceText(
            String(decoding: hasMark ? bytes.dropFirst(3) : bytes[...], as: UTF8.self))
        for diagnostic in diagnostics {
            guard let range = diagnostic.range else {
                Issue.record("\(label): no place: \(diagnostic.message)")
                continue
            }
            for range in [range] + diagnostic.notes.map(\.range) {
                #expect(source.contains(range.start), "\(label): \(diagnostic.message) \(range)")
                #expect(range.start <= range.end, "\(label): \(diagnostic.message) \(range)")
            }
        }
        let isPrintable = text.unicodeScalars.allSatisfy {
            $0 == "\n" || $0 == "\t" || $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value)
        }
        #expect(isPrintable, "\(label)")
    }

    private static func mutate(_ bytes: inout [UInt8], using generator: inout SeededGenerator) {
        let place = Int.random(in: 0...bytes.count, using: &generator)
        let end = min(bytes.count, place + Int.random(in: 0...24, using: &generator))
        switch Int.random(in: 0..<7, using: &generator) {
        case 0:
            bytes.removeSubrange(place..<end)
        case 1:
            bytes.insert(contentsOf: bytes[place..<end], at: end)
        case 2:
            let other = Int.random(in: 0...bytes.count, using: &generator)
            bytes.insert(contentsOf: bytes[place..<end], at: other)
        case 3, 4:
            let piece = pieces.randomElement(using: &generator) ?? []
            bytes.insert(contentsOf: piece, at: place)
        case 5:
            let piece = pieces.randomElement(using: &generator) ?? []
            bytes.replaceSubrange(place..<end, with: piece)
        default:
            guard place < bytes.count else { return }
            bytes[place] = UInt8.random(in: 0...255, using: &generator)
        }
    }
}
