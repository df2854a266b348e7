// SPDX-License-Identifier: Apache-2.0
//
// What is said over one probe connection, whatever carries the bytes.

import BalancerCore
import LinuxIO

/// How a probe ended.
enum ProbeOutcome: Hashable {
    case passed
    case failed(ProbeFailure)
    /// This node could not ask (no descriptor, no port, no memory): nothing was learned.
    case notMade(Errno)
}

/// What follows from bytes that came.
enum DialogueStep: Hashable {
    /// More is to come; these bytes are to be sent.
    case goOn(send: [UInt8])
    /// The question is answered.
    case ended(ProbeOutcome)
    /// The peer is leaving this connection and says that it did not look at the question.
    case declined
}

/// One connection's side of a protocol: asks, judges the answer, asks again.
///
/// It belongs to one connection and keeps what the protocol keeps between two questions.
protocol ProbeDialogue: AnyObject {
    /// Begins a question; `isLast` when the connection is not used again.
    ///
    /// Empty bytes to be sent and `isAnsweredBySending` make the connection itself the answer.
    func ask(isLast: Bool) -> [UInt8]
    /// True when nothing is expected of the peer once the question is sent.
    var isAnsweredBySending: Bool { get }
    /// True when some of the answer to the present question has come.
    var hasAnswerBegun: Bool { get }
    /// Takes in bytes of the answer.
    func receive(_ bytes: [UInt8]) -> DialogueStep
    /// The peer ended its side before the answer was complete.
    func inputEnded() -> ProbeOutcome
    /// Takes in bytes that came after the answer was judged; false when they forbid another
    /// question.
    func receiveWhileIdle(_ bytes: [UInt8]) -> Bool
    /// True when the connection may carry another question once all of the answer has come.
    var isWorthKeeping: Bool { get }
    /// True when the connection may carry another question now.
    var takesAnotherQuestion: Bool { get }
}
