// SPDX-License-Identifier: Apache-2.0
//
// The limit for chunked bodies: exact, whatever the cut, and before any payload beyond it.

import HTTPCore
import Testing

@Suite struct BodyLimitTests {
    /// Payload bytes given out, and how it ended.
    private func decode(_ wire: String, max: UInt64, piece: Int) -> (Int, BodyStep.Status) {
        var decoder = BodyDecoder(.chunked, chunkedByteCountMax: max)
        var payload = 0
        var rest = Array(wire.utf8)[...]
        var held: [UInt8] = []
        while !rest.isEmpty || !held.isEmpty {
            held += rest.prefix(piece)
            rest = rest.dropFirst(piece)
            while !held.isEmpty {
                let step = held.withUnsafeBytes { decoder.next($0) }
                payload += step.payloadByteCount
                guard step.status == .more else { return (payload, step.status) }
                held.removeFirst(step.consumedByteCount)
            }
        }
        return (payload, .more)
    }

    @Test(arguments: [1, 2, 3, 7, 100])
    func payloadUpToTheLimitPasses(piece: Int) {
        let wire = "3\r\nabc\r\n00007;x=y\r\n1234567\r\n0\r\n\r\n"
        #expect(decode(wire, max: 10, piece: piece) == (10, .complete))
        #expect(decode(wire, max: 9, piece: piece) == (3, .malformed(.bodyTooLarge)))
        #expect(decode(wire, max: 2, piece: piece) == (0, .malformed(.bodyTooLarge)))
        #expect(decode("0\r\n\r\n", max: 0, piece: piece) == (0, .complete))
    }

    @Test func withoutALimitOnlyTheArithmeticIsBounded() {
        #expect(
            decode("4000000000000000\r\n", max: .max, piece: 100)
                == (0, .malformed(.invalidChunkSize)))
        #expect(MessageFault.bodyTooLarge.statusCode == 413)
    }
}
