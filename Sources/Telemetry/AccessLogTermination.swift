// SPDX-License-Identifier: Apache-2.0
//
// The two letters that say who ended a request and when, as HAProxy writes them.

/// Who or what ended a request or a session.
public enum AccessLogCause: UInt8, Sendable, CaseIterable {
    /// Nobody: it ended as it should.
    case none
    /// The client closed or reset its connection.
    case clientAborted
    /// The client sent or read nothing for too long.
    case clientTimedOut
    /// The backend refused, closed or reset its connection, or none was available.
    case serverAborted
    /// The backend did not accept, answer or go on in time.
    case serverTimedOut
    /// The proxy refused the request or the response: a rule was broken or a limit of policy hit.
    case refused
    /// The proxy answered by itself: a redirect, a fixed response, no route.
    case answered
    /// The proxy had no memory, descriptor or connection left.
    case exhausted
    /// A fault of the proxy itself.
    case internalFault
    /// The proxy was leaving and cut the request off.
    case drained

    /// The first letter.
    public var letter: UInt8 {
        switch self {
        case .none: UInt8(ascii: "-")
        case .clientAborted: UInt8(ascii: "C")
        case .clientTimedOut: UInt8(ascii: "c")
        case .serverAborted: UInt8(ascii: "S")
        case .serverTimedOut: UInt8(ascii: "s")
        case .refused: UInt8(ascii: "P")
        case .answered: UInt8(ascii: "L")
        case .exhausted: UInt8(ascii: "R")
        case .internalFault: UInt8(ascii: "I")
        case .drained: UInt8(ascii: "K")
        }
    }
}

/// What was going on when a request or a session ended.
public enum AccessLogPhase: UInt8, Sendable, CaseIterable {
    /// The request, or a part that decides about it, was being read.
    case request
    /// A backend was being chosen.
    case choosing
    /// A connection to the backend was being opened.
    case connecting
    /// The response head was awaited.
    case head
    /// The response or the bytes of a tunnel were passing.
    case data

    /// The second letter.
    public var letter: UInt8 {
        switch self {
        case .request: UInt8(ascii: "R")
        case .choosing: UInt8(ascii: "Q")
        case .connecting: UInt8(ascii: "C")
        case .head: UInt8(ascii: "H")
        case .data: UInt8(ascii: "D")
        }
    }
}
