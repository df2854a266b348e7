// SPDX-License-Identifier: Apache-2.0
//
// The TCP probe: sends the bytes it was given and waits for those it was told of.

import BalancerCore
import ConfigurationCore

/// The probe of type tcp over one connection, which is never used again.
final class PayloadDialogue: ProbeDialogue {
    /// Bytes of an answer that are searched.
    static let answerByteCountMax = 65_536

    private let payload: PayloadProbe
    private var matcher: ByteMatcher
    private var receivedByteCount = 0

    init(_ payload: PayloadProbe) {
        self.payload = payload
        matcher = ByteMatcher(payload.expect)
    }

    var isAnsweredBySending: Bool { payload.expect.isEmpty }
    var hasAnswerBegun: Bool { receivedByteCount > 0 }
    let isWorthKeeping = false
    let takesAnotherQuestion = false

    func ask(isLast: Bool) -> [UInt8] { payload.send }

    func receive(_ bytes: [UInt8]) -> DialogueStep {
        let room = Self.answerByteCountMax - receivedByteCount
        receivedByteCount += min(bytes.count, room)
        bytes.prefix(room).withUnsafeBytes { matcher.look(at: $0) }
        if matcher.isFound { return .ended(.passed) }
        return receivedByteCount < Self.answerByteCountMax
            ? .goOn(send: []) : .ended(.failed(.unexpectedAnswer))
    }

    func inputEnded() -> ProbeOutcome {
        .failed(receivedByteCount > 0 ? .unexpectedAnswer : .connectionClosed)
    }

    func receiveWhileIdle(_ bytes: [UInt8]) -> Bool { false }
}
