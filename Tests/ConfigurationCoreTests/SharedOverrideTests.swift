// SPDX-License-Identifier: Apache-2.0
//
// Goal: what commands changed is read by the other node as it was written, unless the file says
// something else there.

import ConfigurationCore
import Testing
import WireCore

@Suite struct SharedOverrideTests {
    private static let basis = BackendConfiguration(
        name: "be1", address: Endpoint(address: .v4(.loopback), port: 80), weight: 3)

    private static var samples: [RuntimeOverride] {
        var samples: [RuntimeOverride] = [RuntimeOverride()]
        for state in RuntimeOverride.State.allCases {
            for weight in [nil, 0, 7, 256] as [Int?] {
                for health in [nil, .stopping, .down] as [RuntimeOverride.Health?] {
                    for address in ["", "10.0.0.1:80", "[2001:db8::1]:8080"] {
                        var sample = RuntimeOverride()
                        sample.state = state
                        sample.weight = weight
                        sample.health = health
                        sample.address = Endpoint(address)
                        samples.append(sample)
                    }
                }
            }
        }
        return samples
    }

    @Test func everyChangeIsReadAsItWasWritten() {
        for sample in Self.samples {
            let shared = SharedOverride(sample, basis: Self.basis)
            #expect(SharedOverride(shared.bytes) == shared)
            #expect(SharedOverride(shared.bytes + [9]) == shared)
            for count in 0..<shared.bytes.count {
                #expect(SharedOverride(Array(shared.bytes.prefix(count))) == nil)
            }
        }
    }

    @Test func changedBytesAreAChangeOrNothing() {
        var generator = SeededGenerator(seed: 8)
        let samples = Self.samples
        for _ in 0..<10_000 {
            let sample = samples[Int(generator.next() % UInt64(samples.count))]
            var bytes = SharedOverride(sample, basis: Self.basis).bytes
            bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(
                truncatingIfNeeded: generator.next())
            guard let read = SharedOverride(bytes) else { continue }
            #expect((0...256).contains(read.override.weight ?? 0))
        }
    }

    @Test func aFileThatSaysSomethingElseIsNotContradicted() {
        var drain = RuntimeOverride()
        drain.state = .drain
        let shared = SharedOverride(drain, basis: Self.basis)
        var other = Self.basis
        other.weight = 4
        #expect(shared.holds(against: Self.basis))
        #expect(!shared.holds(against: other))
        // That nothing is changed any more contradicts no file.
        #expect(SharedOverride(RuntimeOverride(), basis: Self.basis).holds(against: other))
    }

    @Test(arguments: [("web", "be1"), ("", ""), ("a/b", "10.0.0.1:80"), ("ü", "ß")])
    func namesAreReadAsTheyWereWritten(pool: String, backend: String) {
        let name = RuntimeOverrides.Name(pool: pool, backend: backend)
        #expect(RuntimeOverrides.Name(name.bytes) == name)
        #expect(RuntimeOverrides.Name([]) == nil)
        #expect(RuntimeOverrides.Name([0xFF, 0xFF, 1]) == nil)
    }
}
