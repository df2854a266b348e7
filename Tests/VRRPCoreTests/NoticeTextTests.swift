// SPDX-License-Identifier: Apache-2.0
//
// What an operator reads of a notice: who does what, and which key to set.

import Testing
import VRRPCore
import WireCore

@Suite("Text of notices")
struct NoticeTextTests {
    private func text(_ actions: [VirtualRouterAction]) -> [String] {
        actions.compactMap { action in
            if case .report(let notice, _) = action { notice.description } else { nil }
        }
    }

    @Test("A checksum of the other form names both forms and the key")
    func namesChecksumForms() throws {
        let router = try RouterUnderTest.started()
        #expect(
            text(router.hear(priority: 200, checksumForm: .rfc5798, at: ms(1))) == [
                "checksum_form_differs: 10.77.0.11 sends the RFC 5798 form, this node the RFC 9568"
                    + " form: it may be dropping our adverts; set checksum: rfc5798"
            ])
        let older = try RouterUnderTest(checksumForm: .rfc5798)
        older.startup(at: .zero)
        #expect(
            text(older.hear(priority: 200, at: ms(1))) == [
                "checksum_form_differs: 10.77.0.11 sends the RFC 9568 form, this node the RFC 5798"
                    + " form: it may be dropping our adverts; remove checksum: rfc5798 or make the"
                    + " peer use it"
            ])
    }

    @Test("Another list of the same length names an address")
    func namesAddress() throws {
        let router = try RouterUnderTest.started()
        let other = IPAddress(10, 77, 0, 101)
        #expect(
            text(router.hear(priority: 200, addresses: [other], at: ms(1))) == [
                "addresses_differ: 10.77.0.11 lacks 10.77.0.100, which this node has"
            ])
        let more = [RouterUnderTest.virtualAddress, other]
        #expect(
            text(router.hear(priority: 200, addresses: more, at: .seconds(20))) == [
                "addresses_differ: 10.77.0.11 has 10.77.0.101, which this node has not"
            ])
    }

    @Test("A held takeover is this node's and not the peer's fault")
    func saysHeldTakeover() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(1))
        router.hold([.witnessUnreachable], at: ms(2))
        let deadline = try #require(router.deadline)
        let lines = text(router.timer(at: deadline))
        #expect(
            lines == [
                "held_by_witness: this node's takeover is held, its witness has not answered for "
                    + "\((deadline - ms(2)).milliseconds)ms"
            ])
    }
}
