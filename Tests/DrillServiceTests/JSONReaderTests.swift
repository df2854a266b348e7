// SPDX-License-Identifier: Apache-2.0
//
// Reading JSON: what it accepts, what it refuses, and what a status document says.

import Telemetry
import Testing
import WireCore

@testable import DrillService

@Suite struct JSONReaderTests {
    private func rendered(_ text: String) throws -> [String] {
        try JSONReader.readAll(Array(text.utf8)).map { $0.rendered() }
    }

    @Test(arguments: [
        ("null", "null"), (" true ", "true"), ("-0", "0"), ("[ ]", "[]"), ("{ }", "{}"),
        ("[1, -2,3.5e1]", "[1,-2,35.0]"), ("18446744073709551615", "18446744073709551615"),
        (#"{"a" : {"b":[false]} , "c":""}"#, #"{"a":{"b":[false]},"c":""}"#),
        (#""\u0041\n\/\\\"\ud83d\ude00é""#, #""A\n/\\\"😀é""#),
    ])
    func readsValues(_ text: String, _ expected: String) throws {
        #expect(try rendered(text) == [expected])
    }

    @Test func readsValuesInARow() throws {
        #expect(try rendered("{}\n[1]{\"a\":2}\n") == ["{}", "[1]", "{\"a\":2}"])
        #expect(try rendered(" \n") == [])
    }

    @Test(arguments: [
        "{", "[1,]", "{\"a\":}", "{\"a\" 1}", "{a:1}", "\"", "\"\u{1}\"", #""\x""#, #""\u12g4""#,
        #""\ud800""#, #""\ud800\u0041""#, "01", "+1", ".5", "1.", "1e", "--1", "1.e5", "nul",
        "truefalse x", "]", "1e999", "[1 2]",
    ])
    func refusesWhatIsNoJSON(_ text: String) {
        #expect(throws: JSONReader.Malformed.self) { try rendered(text) }
    }

    @Test func refusesInvalidUTF8() {
        #expect(throws: JSONReader.Malformed.self) { try JSONReader.readAll([0x22, 0xFF, 0x22]) }
    }

    @Test func everyPrefixOfADocumentIsRefusedOrEmpty() {
        let bytes = Array(#"{"a":[1,{"b":"c\u0041"}],"d":null}"#.utf8)
        for count in 1..<bytes.count {
            #expect(throws: JSONReader.Malformed.self) {
                try JSONReader.readAll(Array(bytes.prefix(count)))
            }
        }
    }

    @Test func depthIsBounded() throws {
        let fits = String(repeating: "[", count: 63) + String(repeating: "]", count: 63)
        #expect(try JSONReader.readAll(Array(fits.utf8)).count == 1)
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONReader.Malformed.self) { try JSONReader.readAll(Array(deep.utf8)) }
    }
}

@Suite struct StatusDocumentTests {
    private static let fault: UInt64 = 1_795_000_000_000_000_000

    private static func document(
        _ node: String, role: String, link: String = "up", detected: UInt64? = nil
    ) -> String {
        let failover =
            detected.map {
                """
                {"because":"peer_process_died","detected_wall_ns":\($0),\
                "claimed_wall_ns":\($0 + 1_000_000),"announced_wall_ns":\($0 + 1_500_000)}
                """
            } ?? "null"
        return """
            {"node":"\(node)","role":"\(role)","virtual_routers":[{"id":51,\
            "addresses":["10.77.0.100"],"last_failover":\(failover)}],\
            "link":{"state":"\(link)","lag_ms":0.1}}

            """
    }

    @Test func timesComeFromTheRecordOfThisFault() throws {
        let text =
            Self.document("lb1", role: "backup", detected: Self.fault - 60_000_000_000)
            + Self.document("lb2", role: "active", detected: Self.fault + 1_400_000)
        let nodes = StatusDocument.read(Array(text.utf8))
        let times = try #require(
            PairStatus.failover(in: nodes, faultWallNanoseconds: Self.fault))
        #expect(times.because == "peer_process_died")
        #expect(times.detect == .microseconds(1_400))
        #expect(times.claim == .milliseconds(1))
        #expect(times.announce == .microseconds(500))
    }

    @Test func olderRecordsAreNotThisFault() {
        let text = Self.document("lb1", role: "active", detected: Self.fault - 6_000_000)
        let nodes = StatusDocument.read(Array(text.utf8))
        #expect(PairStatus.failover(in: nodes, faultWallNanoseconds: Self.fault) == nil)
    }

    @Test func missingMembersStayUnknown() throws {
        let text = #"{"virtual_routers":[{"last_failover":{"detected_wall_ns":9}}],"x":[]}"#
        let node = try #require(StatusDocument.read(Array(text.utf8)).first)
        #expect(node.node == nil)
        #expect(node.linkState == nil)
        #expect(
            node.failovers == [
                FailoverTimestamps(
                    because: nil, detectedWallNanoseconds: 9, claimedWallNanoseconds: nil,
                    announcedWallNanoseconds: nil)
            ])
        let times = PairStatus.failover(in: [node], faultWallNanoseconds: 4)
        #expect(times?.detect == .nanoseconds(5))
        #expect(times?.claim == nil)
    }

    @Test func pairedMeansBothLinksUpAndOneActive() {
        let paired = { (text: String) in PairStatus.isPaired(StatusDocument.read(Array(text.utf8)))
        }
        let active = Self.document("lb1", role: "active")
        let backup = Self.document("lb2", role: "backup")
        #expect(paired(active + backup))
        #expect(paired("[" + active + "," + backup + "]"))
        #expect(paired(active))
        #expect(!paired(active + active))
        #expect(!paired(backup + backup))
        #expect(!paired(active + Self.document("lb2", role: "backup", link: "down")))
        #expect(!paired(active + #"{"node":"lb2"}"#))
        #expect(!paired(""))
        #expect(!paired("no answer"))
    }

    @Test func faultTimeIsTheLastSuchLine() {
        let read = { (text: String) in FaultTime.read(Array(text.utf8)) }
        #expect(read("crash lb1\nfault_at_wall_ns=123\n") == 123)
        #expect(read("fault_at_wall_ns=1\nfault_at_wall_ns=2") == 2)
        #expect(read("fault_at_wall_ns=99999999999999999999999\n") == nil)
        #expect(read("killed\n") == nil)
    }
}
