// SPDX-License-Identifier: Apache-2.0
//
// Goal: files stay small, say what they own, and keep to the words of the house.

import Testing

@Suite struct TidyTests {
    private static let lineLengthMax = 100
    private static let fileLinesMax = 500
    private static let testFileLinesMax = 800
    private static let functionLinesMax = 70
    private static let tree = SourceTree.project

    /// Violations of a rule that looks at lines of code, comments and literals blanked.
    private static func violations(
        _ rule: String, in files: [SourceFile], _ judge: (Substring, SourceFile) -> String?
    ) -> [Violation] {
        files.flatMap { file in
            file.codeLines.enumerated().compactMap { index, line in
                judge(line, file).map {
                    Violation(rule: rule, path: file.path, line: index + 1, text: $0)
                }
            }
        }
    }

    @Test func exceptionsAreFewerThanEver() {
        #expect(HouseException.all.count <= HouseException.countMax)
        #expect(Set(HouseException.all).count == HouseException.all.count)
        #expect(HouseException.all.allSatisfy { !$0.reason.isEmpty })
    }

    @Test func filesOpenWithLicenceAndPurpose() {
        var violations: [Violation] = []
        for file in Self.tree.swiftFiles {
            // The manifest's first line belongs to the package manager.
            let start = file.path == "Package.swift" ? 1 : 0
            let head = file.lines.dropFirst(start).prefix(3)
            let fault = HeaderRule.fault(Array(head))
            if let fault {
                violations.append(
                    Violation(rule: "header", path: file.path, line: start + 1, text: fault))
            }
        }
        violations.report("header")
    }

    @Test func filesStaySmall() {
        Self.tree.swiftFiles.compactMap { file in
            let limit = file.isTest ? Self.testFileLinesMax : Self.fileLinesMax
            let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
            guard count > limit else { return nil }
            return Violation(
                rule: "file-length", path: file.path, line: limit + 1,
                text: "\(count) lines, at most \(limit)")
        }.report("file-length")
    }

    @Test func functionsStaySmall() {
        Self.tree.swiftFiles.flatMap { file in
            FunctionLengths.extents(of: file).filter { $0.lineCount > Self.functionLinesMax }.map {
                Violation(
                    rule: "function-length", path: file.path, line: $0.line,
                    text: "\($0.name) has \($0.lineCount) lines, at most \(Self.functionLinesMax)")
            }
        }.report("function-length")
    }

    @Test func linesStayShort() {
        Self.tree.swiftFiles.flatMap { file in
            file.lines.enumerated().compactMap { index, line -> Violation? in
                // The formatter lets the comma behind the last argument stand out.
                let count = line.count - (line.hasSuffix(",") ? 1 : 0)
                guard count > Self.lineLengthMax else { return nil }
                return Violation(
                    rule: "line-length", path: file.path, line: index + 1,
                    text: "\(count) characters, at most \(Self.lineLengthMax)")
            }
        }.report("line-length")
    }

    @Test func testsNeverSleep() {
        let calls = ["sleep(", "usleep(", "nanosleep("]
        Self.violations("sleep", in: Self.tree.swiftFiles.filter(\.isTest)) { line, _ in
            calls.first { WordRule.contains($0, in: line) }.map {
                "\($0)): poll with a deadline, or use virtual time"
            }
        }.report("sleep")
    }

    @Test func stateMachinesNameEveryState() {
        let machines = Self.tree.swiftFiles.filter { $0.name.hasSuffix("StateMachine.swift") }
        #expect(!machines.isEmpty)
        Self.violations("default", in: machines) { line, _ in
            let trimmed = line.drop { $0 == " " }
            return trimmed.hasPrefix("default:") || trimmed.hasPrefix("@unknown default:")
                ? "a machine has an arm for every state" : nil
        }.report("default")
    }

    @Test func namesSayWhatAThingIs() {
        let grabBags = ["Utils", "Util", "Helpers", "Helper", "Manager"]
        var violations = Self.violations("names", in: Self.tree.swiftFiles) { line, _ in
            WordRule.declaredName(in: line).flatMap { name in
                grabBags.first { name.hasSuffix($0) }.map { _ in "\(name) names a grab-bag" }
            }
        }
        for file in Self.tree.swiftFiles {
            let stem = file.name.dropLast(".swift".count)
            guard let word = grabBags.first(where: { stem.hasSuffix($0) }) else { continue }
            violations.append(
                Violation(
                    rule: "names", path: file.path, line: 1,
                    text: "a file named ...\(word) is a grab-bag"))
        }
        violations.report("names")
    }

    /// The words of RFC 9568 replaced those of RFC 5798.
    @Test func routersAreActiveOrBackup() {
        let words = ["mas" + "ter", "sla" + "ve"]
        let files = Self.tree.swiftFiles.filter { file in
            file.path.contains("VRRP") || file.target == "tandem"
        }
        #expect(!files.isEmpty)
        files.flatMap { file in
            file.lines.enumerated().compactMap { index, line in
                let folded = line.lowercased()
                return words.first { folded.contains($0) }.map {
                    Violation(
                        rule: "words", path: file.path, line: index + 1,
                        text: "\($0): say Active or Backup (RFC 9568)")
                }
            }
        }.report("words")
    }

    @Test func noFileKnowsTheMachineItWasWrittenOn() {
        let places = [
            "/wo" + "rk/", "/tmp/w" + "t", "/tmp/bu" + "ild", "/ho" + "me/", "/ro" + "ot/",
        ]
        Self.tree.files.flatMap { file in
            file.lines.enumerated().compactMap { index, line in
                places.first { line.contains($0) }.map {
                    Violation(
                        rule: "places", path: file.path, line: index + 1,
                        text: "\($0) exists on one machine only")
                }
            }
        }.report("places")
    }

    @Test func uncheckedSendabilityIsProven() {
        Self.tree.swiftFiles.filter { !$0.isTest }.flatMap { file in
            file.codeLines.enumerated().compactMap { index, line -> Violation? in
                guard line.contains("@unchecked Sendable") else { return nil }
                let above = index > 0 ? file.lines[index - 1].drop { $0 == " " } : ""
                guard !above.hasPrefix("//") else { return nil }
                return Violation(
                    rule: "unchecked", path: file.path, line: index + 1,
                    text: "@unchecked Sendable needs its proof in the comment above")
            }
        }.report("unchecked")
    }

    @Test func crossModuleCodeIsPublic() {
        Self.violations("package-access", in: Self.tree.swiftFiles) { line, file in
            guard file.path != "Package.swift" else { return nil }
            return line.drop { $0 == " " }.hasPrefix("package ")
                ? "package access blocks optimisation across modules" : nil
        }.report("package-access")
    }
}
