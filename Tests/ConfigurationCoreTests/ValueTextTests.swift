// SPDX-License-Identifier: Apache-2.0
//
// Sizes, percentages, networks, header names and values: what is read, what is refused and what
// is suggested instead.

import Testing
import WireCore

@testable import ConfigurationCore

@Suite struct ValueTextTests {
    private func problem<Value>(
        _ parse: () throws(ScalarProblem) -> Value
    ) -> ScalarProblem? {
        do throws(ScalarProblem) {
            _ = try parse()
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("0B", 0), ("500B", 500), ("64KiB", 65_536), ("1.5KiB", 1_536), ("10MiB", 10 << 20),
        ("0.5GiB", 1 << 29), ("1000000000GiB", 1_000_000_000 << 30),
        ("1000000000.999999GiB", -1),
    ])
    func sizesAreReadExactly(text: String, byteCount: Int) throws {
        guard byteCount >= 0 else {
            // A fraction of a byte, at the largest number that is multiplied.
            #expect(problem { () throws(ScalarProblem) in try SizeText.parse(text) } != nil)
            return
        }
        #expect(try SizeText.parse(text) == byteCount)
    }

    @Test(
        arguments: [
            ("64kB", "64KiB"), ("64KB", "64KiB"), ("64k", "64KiB"), ("64K", "64KiB"),
            ("64kib", "64KiB"), ("10MB", "10MiB"), ("10M", "10MiB"), ("1g", "1GiB"),
            ("5 KiB", "5KiB"), ("5 bytes", "5B"), ("5", "one of 5B, 5KiB, 5MiB"), ("-5B", nil),
            ("", "64KiB"), ("KiB", "64KiB"), ("1.KiB", nil), ("1.2.3KiB", nil), ("0.1B", nil),
            ("1.0000001KiB", nil), ("99999999999999999999B", nil), ("1000000001B", nil),
            ("5TiB", "5KiB"), ("0x10KiB", nil),
        ] as [(String, String?)])
    func badSizesGetASuggestion(text: String, suggestion: String?) {
        let found = problem { () throws(ScalarProblem) in try SizeText.parse(text) }
        #expect(found != nil)
        if let suggestion { #expect(found?.suggestion?.contains(suggestion) == true) }
    }

    @Test(arguments: [0, 1, 500, 1_000, 1_024, 1_536, 65_536, 1 << 20, 3 << 29, 1 << 40])
    func sizesSurviveTheRoundTrip(byteCount: Int) throws {
        #expect(try SizeText.parse(SizeText.render(byteCount)) == byteCount)
    }

    @Test(arguments: [
        ("5", 500), ("0.01", 1), ("0.1", 10), ("0.10", 10), ("100", 10_000), ("12.34", 1_234),
    ])
    func percentagesAreReadInHundredths(text: String, hundredths: Int) throws {
        #expect(try PercentText.parse(text) == hundredths)
        #expect(try PercentText.parse(PercentText.render(hundredths)) == hundredths)
    }

    @Test(arguments: [
        "5%", "-1", "", ".", "5.", ".5", "0.001", "1e2", "five", "1.2.3", "99999999999999999999",
    ])
    func badPercentagesAreRefused(text: String) {
        #expect(problem { () throws(ScalarProblem) in try PercentText.parse(text) } != nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("192.168.1.1", "192.168.1.1/32"), ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:db8::/32", "2001:db8::/32"), ("::1", "::1/128"), ("::/0", "::/0"),
    ])
    func networksAreRead(text: String, network: String) throws {
        #expect(try NetworkText.parse(text).description == network)
    }

    @Test(
        arguments: [
            ("10.1.2.3/8", "10.0.0.0/8"), ("10.0.0.0/33", "10.0.0.0/32"),
            ("255.255.255.255/0", "0.0.0.0/0"), ("2001:db8::1/64", "2001:db8::/64"),
            ("2001:db8::/129", "2001:db8::/128"), ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
            ("10.0.0.0/0.0.0.0", "0.0.0.0/0"), ("10.0.0.0/255.0.255.0", nil),
            ("10.*", "10.0.0.0/8"), ("*.10", nil), ("10", nil), ("10/8", "10.0.0.0/8"),
            ("::ffff:a00:0/104", "10.0.0.0/8"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("10.0.0.0/-1", nil), ("10.0.0.0/8/8", nil), ("/8", nil), ("/", nil), ("", nil),
            ("10.0.0.0/99999999999999999999", nil), ("[::1]:80", "::1"),
        ] as [(String, String?)])
    func badNetworksGetASuggestion(text: String, suggestion: String?) {
        let found = problem { () throws(ScalarProblem) in try NetworkText.parse(text) }
        #expect(found != nil)
        if let suggestion {
            #expect(found?.suggestion == "did you mean \"\(suggestion)\"?")
            #expect(IPNetwork(suggestion) != nil)
        }
    }

    @Test func everySetBitBehindThePrefixIsNamed() {
        let found = problem { () throws(ScalarProblem) in try NetworkText.parse("10.1.2.3/8") }
        #expect(found?.reason == "0.1.2.3 lies behind the prefix of 8 bits")
    }

    @Test func headerNamesAreTokens() {
        for byte in UInt8(0)...127 {
            let name = "X" + String(UnicodeScalar(byte))
            let isToken =
                UnicodeScalar(byte).properties.isAlphabetic || (0x30...0x39).contains(byte)
                || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            let found = problem { () throws(ScalarProblem) in try HeaderText.check(name: name) }
            #expect((found == nil) == isToken, "\(byte)")
        }
    }

    @Test func headerValuesHaveNoControlsAndNoSpaceAtTheEnds() {
        for byte in UInt8(0)...127 {
            let value = "a" + String(UnicodeScalar(byte)) + "b"
            let isAllowed = byte == 9 || (0x20...0x7E).contains(byte)
            let found = problem { () throws(ScalarProblem) in try HeaderText.check(value: value) }
            #expect((found == nil) == isAllowed, "\(byte)")
        }
        for value in [" a", "a ", "\ta", " ", "\u{E9}", String(repeating: "a", count: 4_097)] {
            #expect(
                problem { () throws(ScalarProblem) in try HeaderText.check(value: value) } != nil)
        }
        #expect(problem { () throws(ScalarProblem) in try HeaderText.check(value: "") } == nil)
    }

    @Test(arguments: [
        "connection", "Content-Length", "TRANSFER-ENCODING", "te", "trailer", "Upgrade",
        "keep-alive", "Proxy-Connection", "proxy-authorization", "Proxy", "Host", "expect",
    ])
    func hopByHopAndFramingHeadersAreNotEdited(name: String) {
        for direction in [HeaderEditRule.Direction.request, .response] {
            let found = problem { () throws(ScalarProblem) in
                try HeaderEditRule.check(name, direction)
            }
            #expect(found?.suggestion != nil)
        }
    }

    @Test(arguments: [
        ("Proxied", false, false), ("Forwarded", true, false),
        ("X-Forwarded-For", true, false), ("x-forwarded-anything", true, false),
        ("Date", false, true), ("Server", false, false), ("X-Forwardedish", false, false),
        ("Content-Type", false, false), ("X_Edge", true, false),
    ])
    func someHeadersBelongToOneDirection(name: String, request: Bool, response: Bool) {
        let found = [HeaderEditRule.Direction.request, .response].map { direction in
            problem { () throws(ScalarProblem) in try HeaderEditRule.check(name, direction) } != nil
        }
        #expect(found == [request, response])
    }

    @Test(arguments: [
        ("GET", true), ("PROPFIND", true), ("X-Custom", true), ("get", false), ("Post", false),
        ("CONNECT", false), ("", false), ("A B", false), ("G\u{C9}T", false),
    ])
    func methodsAreTokensInTheirOwnCase(method: String, isAllowed: Bool) {
        let found = problem { () throws(ScalarProblem) in try HeaderText.check(method: method) }
        #expect((found == nil) == isAllowed)
    }

    @Test(arguments: [
        ("text/html", true), ("text/html; charset=utf-8", true), ("application/json", true),
        ("html", false), ("text/", false), ("/html", false), ("", false), ("a/b/c", false),
        ("text/html\r\nX: y", false),
    ])
    func mediaTypesHaveATypeAndASubtype(text: String, isAllowed: Bool) {
        let found = problem { () throws(ScalarProblem) in try HeaderText.check(mediaType: text) }
        #expect((found == nil) == isAllowed)
    }

    @Test(
        arguments: [
            ("$host", "$host"), ("$host; a", "$host"), ("a${HOST}b", "${HOST}"), ("/v2/$1", "$1"),
            ("%[req.hdr(host)]", "%[req.hdr(host)]"), ("%{Host}i", "%{Host}"), ("%[", "%["),
            ("$h", "$h"), ("$", nil), ("100%", nil), ("100% a", nil), ("$5", nil), ("a b", nil),
            ("%2F", nil), ("", nil), ("$\u{E9}", nil),
        ] as [(String, String?)])
    func variablesOfOtherProgramsAreFound(text: String, variable: String?) {
        #expect(HeaderText.variable(in: text) == variable)
    }
}
