// SPDX-License-Identifier: Apache-2.0
//
// Addresses and endpoints as the file writes them, and what is said about wrong ones.

import Testing
import WireCore

@testable import ConfigurationCore

@Suite struct AddressTextTests {
    @Test(arguments: ["10.0.0.1:80", "0.0.0.0:65535", "[::1]:1", "[2001:db8::1]:8080"])
    func readsEndpoints(text: String) throws {
        #expect(try AddressText.endpoint(text).description == text)
    }

    @Test(arguments: [
        ("80", "did you mean \"0.0.0.0:80\"?"), (":80", "did you mean \"0.0.0.0:80\"?"),
        ("*:80", "did you mean \"0.0.0.0:80\"?"), ("10.0.0.1", "write 10.0.0.1:PORT"),
        ("localhost:80", "did you mean \"127.0.0.1:80\"?"),
        ("010.0.0.1:80", "did you mean \"10.0.0.1:80\"?"),
        ("2001:db8::1:80:x", nil), ("10.0.0.1:", nil), ("10.0.0.1:0", nil),
        ("10.0.0.1:65536", nil), ("10.0.0.1:-1", nil), ("10.0.0.256:80", nil),
        ("99999999999999999999.0.0.1:80", nil), ("1.2.3:80", nil), ("1..2.3:80", nil),
        ("name:80", nil), ("", "write for example 10.0.0.1:80"), (":", nil), ("...:80", nil),
    ])
    func refusesEverythingElseWithAHintWhereOneIsKnown(text: String, hint: String?) {
        do throws(ScalarProblem) {
            let endpoint = try AddressText.endpoint(text)
            Issue.record("read as \(endpoint)")
        } catch {
            #expect(error.suggestion == hint)
        }
    }

    @Test(arguments: ["10.0.0.1:80", "10.0.0.1/24", "::1", "a", "", "1.2.3", "1.2.3.4.5"])
    func refusesWhatIsNoIPv4Address(text: String) {
        #expect(throws: ScalarProblem.self) { try AddressText.ipv4(text) }
    }

    @Test(arguments: ["0.0.0.0", "224.0.0.18", "255.255.255.255", "240.0.0.1"])
    func refusesAddressesThatNoNodeCanHold(text: String) throws {
        let address = try AddressText.ipv4(text)
        #expect(throws: ScalarProblem.self) { try ConfigurationReader.checkUnicast(address) }
    }
}
