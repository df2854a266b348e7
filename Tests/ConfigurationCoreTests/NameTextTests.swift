// SPDX-License-Identifier: Apache-2.0
//
// Names of hosts, paths, pools and interfaces: what is accepted and what is refused.

import Testing

@testable import ConfigurationCore

@Suite struct NameTextTests {
    @Test func hostsAreReadInLowerCase() throws {
        #expect(try NameText.host("WWW.Example.ORG", allowsWildcard: true) == "www.example.org")
        #expect(try NameText.host("*.Example.org", allowsWildcard: true) == "*.example.org")
    }

    @Test(arguments: [
        "", "*", "*.", "a..b", "a.*.b", "a b", "a:80", "http://a", "a/b", "\u{E9}.org",
        String(repeating: "a", count: 64), String(repeating: "a.", count: 127) + "a",
    ])
    func refusesOtherHosts(text: String) {
        #expect(throws: ScalarProblem.self) { try NameText.host(text, allowsWildcard: true) }
    }

    @Test func aWildcardCannotBeSent() {
        #expect(throws: ScalarProblem.self) {
            try NameText.host("*.example.org", allowsWildcard: false)
        }
    }

    @Test func limitsHoldToTheByte() throws {
        try NameText.check(name: String(repeating: "n", count: NameText.nameByteCountMax))
        try NameText.check(interface: String(repeating: "i", count: 15))
        try NameText.check(
            urlPath: "/" + String(repeating: "p", count: NameText.urlPathByteCountMax - 1))
        try NameText.check(filePath: "/abc", byteCountMax: 4)
        #expect(throws: ScalarProblem.self) {
            try NameText.check(name: String(repeating: "n", count: NameText.nameByteCountMax + 1))
        }
        #expect(throws: ScalarProblem.self) {
            try NameText.check(interface: String(repeating: "i", count: 16))
        }
        #expect(throws: ScalarProblem.self) {
            try NameText.check(
                urlPath: "/" + String(repeating: "p", count: NameText.urlPathByteCountMax))
        }
        #expect(throws: ScalarProblem.self) {
            try NameText.check(filePath: "/abcd", byteCountMax: 4)
        }
    }

    @Test(arguments: ["a/b", "", ".", "..", "a b", "a\u{0}"])
    func refusesOtherInterfaces(text: String) {
        #expect(throws: ScalarProblem.self) { try NameText.check(interface: text) }
    }

    @Test(arguments: ["a", "/a?b", "/a#b", "/a*", "/a b", "/\u{E9}"])
    func refusesOtherPaths(text: String) {
        #expect(throws: ScalarProblem.self) { try NameText.check(urlPath: text) }
    }
}
