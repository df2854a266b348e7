// SPDX-License-Identifier: Apache-2.0
//
// Goal: what was decided on the other node is followed as soon as it can be, stays until then, and
// never comes back after a reload of the file has ended it.

import ConfigurationCore
import Testing
import WireCore

@Suite struct PeerOverridesTests {
    private static let name = RuntimeOverrides.Name(pool: "web", backend: "be1")
    private static let first = backend(port: 80)
    private static let second = backend(port: 81)

    private static func backend(port: UInt16) -> BackendConfiguration {
        BackendConfiguration(
            name: "be1", address: Endpoint(address: .v4(.loopback), port: port), weight: 3)
    }

    private static func drain(against basis: BackendConfiguration) -> SharedOverride {
        var override = RuntimeOverride()
        override.state = .drain
        return SharedOverride(override, basis: basis)
    }

    private static func heard(_ shared: SharedOverride) -> PeerOverrides {
        var peer = PeerOverrides()
        peer.heard(PeerOverrides.Decision(name: name, shared: shared, origin: "lb2"))
        return peer
    }

    @Test func aDecisionWaitsForItsBackendAndItsFile() {
        let peer = Self.heard(Self.drain(against: Self.first))
        #expect(peer.due { _ in nil }.isEmpty)
        #expect(peer.due { _ in Self.second }.isEmpty)
        #expect(peer.due { _ in Self.first }.map(\.name) == [Self.name])
    }

    @Test func whatWasRefusedIsTriedAgainAndToldOnce() {
        var peer = Self.heard(Self.drain(against: Self.first))
        let reasons = ["no room", "no room", "no address"]
        let news = reasons.map { peer.refused(Self.name, because: $0) }
        #expect(news == [true, false, true] && peer.hasRefused)
        #expect(peer.due { _ in Self.first }.count == 1)
        peer.settled(Self.name)
        #expect(peer.due { _ in Self.first }.isEmpty && !peer.hasRefused)
    }

    /// The file says something else, then again what it said first: the drain is over all the same.
    @Test func aReloadEndsWhatWasDecidedForGood() throws {
        // This node drains and its file changes; the other one is told so.
        var overrides = RuntimeOverrides()
        let drain = Self.drain(against: Self.first)
        overrides.set(drain.override, for: Self.name, basis: Self.first)
        let dropped = overrides.drop(contradictedBy: [
            PoolConfiguration(
                name: "web", balance: .roundRobin, backends: [Self.second], healthCheck: nil)
        ])
        var peer = Self.heard(drain)
        let told = peer.fileEnded(dropped)
        #expect(told.map(\.name) == [Self.name] && peer.count == 0)
        let word = try #require(told.first?.shared)
        #expect(SharedOverride.isAsConfigured(word.bytes))
        #expect(!SharedOverride.isAsConfigured(drain.bytes))
        // A node that keeps the old decision waiting gives it up, with either file.
        var other = Self.heard(drain)
        let read = try #require(SharedOverride(word.bytes))
        other.heard(PeerOverrides.Decision(name: Self.name, shared: read, origin: "lb1"))
        for basis in [Self.first, Self.second] {
            #expect(other.due { _ in basis }.map(\.shared.override.isEmpty) == [true])
        }
    }

    @Test func aPeerWithAnotherFileFillsNoMemory() {
        var peer = PeerOverrides()
        for number in 0..<PeerOverrides.countMax + 100 {
            peer.heard(
                PeerOverrides.Decision(
                    name: RuntimeOverrides.Name(pool: "web", backend: "\(number)"),
                    shared: Self.drain(against: Self.first), origin: "lb2"))
        }
        #expect(peer.count == PeerOverrides.countMax)
    }
}
