// SPDX-License-Identifier: Apache-2.0
//
// Goal: what scripts send to HAProxy's socket is understood, and what they mistype is explained.
// Method: tables of command lines.

import AdminService
import Testing
import WireCore

@Suite struct ServerCommandTests {
    private static let name = ServerName(pool: "web", backend: "be1")

    @Test(arguments: [
        ("web/be1 state ready", ServerChange.state(.ready)),
        ("web/be1 state drain", .state(.drain)),
        ("web/be1 state maint", .state(.maintenance)),
        ("web/be1 weight 0", .weight(0)),
        ("web/be1 weight 256", .weight(256)),
        ("web/be1 weight 50%", .weightPercent(50)),
        ("web/be1 addr 10.0.0.9", .address(.test("10.0.0.9"), port: nil)),
        ("web/be1 addr 10.0.0.9 port 81", .address(.test("10.0.0.9"), port: 81)),
        ("web/be1 addr ::1 port 65535", .address(.test("::1"), port: 65_535)),
        ("web/be1 health up", .health(.up)),
        ("web/be1 health stopping", .health(.stopping)),
        ("web/be1 health down", .health(.down)),
    ])
    func aCommandIsUnderstood(line: String, change: ServerChange) throws {
        let parsed = try ServerCommand.parse(words(line))
        #expect(parsed.name == Self.name)
        #expect(parsed.change == change)
    }

    @Test(arguments: [
        ("", "usage:"), ("web/be1", "usage:"), ("web/be1 state", "usage:"),
        ("web state ready", "Require 'backend/server'."), ("/be1 state ready", "Require"),
        ("web/ state ready", "Require"), ("web/be1 state up", "expects 'ready'"),
        ("web/be1 state ready now", "expects 'ready'"), ("web/be1 weight 257", "between 0 and 256"),
        ("web/be1 weight -1", "between 0 and 256"), ("web/be1 weight 1e3", "between 0 and 256"),
        ("web/be1 weight 99999999999999999999", "between 0 and 256"),
        ("web/be1 weight 25601%", "25600%"), ("web/be1 weight %", "25600%"),
        ("web/be1 weight 1 2", "usage:"), ("web/be1 addr 10.0.0", "IP address"),
        ("web/be1 addr 0.0.0.0", "IP address"), ("web/be1 addr 10.0.0.9 port", "usage:"),
        ("web/be1 addr 10.0.0.9 port 0", "usage:"), ("web/be1 addr 10.0.0.9 port 65536", "usage:"),
        ("web/be1 addr 10.0.0.9 81", "usage:"), ("web/be1 health good", "expects 'up'"),
        ("web/be1 colour red", "usage:"),
    ])
    func aMistakeIsExplained(line: String, part: String) {
        do {
            let parsed = try ServerCommand.parse(words(line))
            Issue.record("\(line) was taken for \(parsed)")
        } catch {
            #expect(error.text.contains(part), "\(line): \(error.text)")
        }
    }

    @Test func aNameMayContainSlashesInTheBackend() {
        #expect(ServerName("web/a/b") == ServerName(pool: "web", backend: "a/b"))
    }

    private func words(_ line: String) -> [String] {
        line.split(separator: " ").map(String.init)
    }
}

extension IPAddress {
    /// An address that is known to be one.
    fileprivate static func test(_ text: String) -> IPAddress {
        IPAddress(text) ?? .v4(.any)
    }
}
