// SPDX-License-Identifier: Apache-2.0
//
// How a connection of the dead node goes on, from its shadow and from what the client's own kernel
// says. The client is asked because it knows the truth: the shadow may be older than the last
// packets.
//
//     shadow                     client sent up to    client received up to    verdict
//     idle at (R, S)             R                    S                        resume
//                                behind R             S                        resume, expect
//     asked at (R0, S0), head    R1                   S0                       issue again
//     up to R1, answered or not  behind R1            S0                       again, expect
//     anything else                                                            reset
//
// "Expect": the client has sent something that the dead node may have acknowledged or not. If not,
// it comes again; if it did, nobody has it and the client must hear a reset.

/// What a client's kernel says about a connection.
public struct ClientAnswer: Hashable, Sendable {
    /// Sequence number behind the last byte it sent.
    public var sent: UInt32
    /// Sequence number behind the last byte it received in order.
    public var received: UInt32
    /// The latest time stamp it saw from the other end, when the connection has the option.
    public var seenTimestamp: UInt32?

    /// Names the numbers.
    public init(sent: UInt32, received: UInt32, seenTimestamp: UInt32? = nil) {
        self.sent = sent
        self.received = received
        self.seenTimestamp = seenTimestamp
    }

    /// Whether it is no answer but a probe of the client's own, which says nothing about what the
    /// client has sent: its number lies one before (RFC 9293 §3.8.4).
    ///
    /// The other end has surely read up to `receiveSequence`.
    public func isProbe(at receiveSequence: UInt32) -> Bool { sent == receiveSequence &- 1 }

    /// What a time stamp must be so that the client takes it for newer than all it has seen, if
    /// `timestamp` is not (RFC 7323 §5.3: what seems older is dropped).
    public func correction(of timestamp: UInt32) -> UInt32? {
        guard let seenTimestamp else { return nil }
        let margin = ConnectionShadow.marginMilliseconds / 2
        let isAhead = Int32(bitPattern: timestamp &- seenTimestamp) >= Int32(margin)
        return isAhead ? nil : seenTimestamp &+ UInt32(ConnectionShadow.marginMilliseconds)
    }
}

/// Why a connection cannot go on.
public enum AdoptionRefusal: String, Error, Hashable, Sendable, CaseIterable {
    /// Its listener does not carry it over.
    case notCarried = "not_carried"
    /// A request is in flight that must not be repeated.
    case busy
    /// The client has a part of an answer that nobody can go on with.
    case answerCutOff = "answer_cut_off"
    /// The client's numbers do not fit what is known.
    case numbers
    /// The client did not answer and a request is in flight.
    case silent
    /// The kernel did not make the connection.
    case kernel
}

/// How a connection goes on.
public enum AdoptionVerdict: Hashable, Sendable {
    /// No request is in flight; `expectsBytes` when the client has sent more than is known here.
    case resume(StreamPosition, expectsBytes: Bool)
    /// The request is issued again: its head counts as read.
    case reissue(StreamPosition, head: [UInt8], expectsBytes: Bool)
    /// The client must hear a reset.
    case reset(AdoptionRefusal)

    /// Where the connection must stand.
    public var position: StreamPosition? {
        switch self {
        case .resume(let position, _), .reissue(let position, _, _): position
        case .reset: nil
        }
    }
}

/// Judges connections.
public enum AdoptionJudge {
    /// Where the connection most likely stands, to be re-created there before the client is asked;
    /// `nil` when it cannot go on.
    public static func likelyPosition(_ shadow: ConnectionShadow) -> StreamPosition? {
        guard refusal(shadow) == nil else { return nil }
        guard shadow.phase == .asked, let request = shadow.request, !request.head.isEmpty else {
            return shadow.position
        }
        return StreamPosition(receive: request.receiveEnd, send: request.before.send)
    }

    /// Whether the client's segment is a probe of its own, and its answer is still to come.
    public static func isProbe(_ answer: ClientAnswer, of shadow: ConnectionShadow) -> Bool {
        guard shadow.phase == .asked, let request = shadow.request else {
            return answer.isProbe(at: shadow.position.receive)
        }
        return answer.isProbe(at: request.receiveEnd)
    }

    /// Why no answer of the client can save the connection; `nil` when one can.
    public static func refusal(_ shadow: ConnectionShadow) -> AdoptionRefusal? {
        switch (shadow.level, shadow.phase) {
        case (.reset, _): .notCarried
        case (_, .busy): .busy
        case (.idle, .asked): .busy
        case (.idle, .idle), (.requests, .idle), (.requests, .asked), (_, .moved): nil
        case (.idle, .tunnelling), (.requests, .tunnelling): nil
        }
    }

    /// The verdict after the client's answer.
    public static func judge(
        _ shadow: ConnectionShadow, _ answer: ClientAnswer
    ) -> AdoptionVerdict {
        if let refusal = refusal(shadow) { return .reset(refusal) }
        switch shadow.phase {
        case .idle:
            if answer.received == shadow.position.send {
                return resume(shadow.position, answer)
            }
            guard let request = shadow.request else {
                // The answer to something that nobody may repeat is on its way for ever.
                let isBehind = distance(answer.received, shadow.position.send) > 0
                return .reset(isBehind ? .answerCutOff : .numbers)
            }
            return reissue(request, shadow, answer)
        case .asked:
            guard let request = shadow.request else { return .reset(.numbers) }
            return reissue(request, shadow, answer)
        case .moved:
            return .resume(shadow.position, expectsBytes: false)
        case .busy, .tunnelling:
            // What one side of a tunnel says proves nothing.
            return .reset(.busy)
        }
    }

    /// The verdict about a client that does not answer: nobody is harmed by a connection that goes
    /// on while nothing is owed.
    public static func judgeSilent(_ shadow: ConnectionShadow) -> AdoptionVerdict {
        if let refusal = refusal(shadow) { return .reset(refusal) }
        switch shadow.phase {
        case .idle, .moved: return .resume(shadow.position, expectsBytes: false)
        case .asked, .busy, .tunnelling: return .reset(.silent)
        }
    }

    private static func resume(
        _ position: StreamPosition, _ answer: ClientAnswer
    ) -> AdoptionVerdict {
        let ahead = distance(position.receive, answer.sent)
        guard ahead >= 0 else { return .reset(.numbers) }
        return .resume(position, expectsBytes: ahead > 0)
    }

    private static func reissue(
        _ request: ShadowRequest, _ shadow: ConnectionShadow, _ answer: ClientAnswer
    ) -> AdoptionVerdict {
        guard answer.received == request.before.send else {
            let hasPart = distance(request.before.send, answer.received) > 0
            let isAnswered = shadow.phase == .idle
            let isBeyond =
                isAnswered && distance(shadow.position.send, answer.received) > 0
            return .reset(hasPart && !isBeyond ? .answerCutOff : .numbers)
        }
        guard !request.head.isEmpty else {
            let verdict = resume(request.before, answer)
            // Answered already: repeating it is the client's decision alone.
            return shadow.phase == .idle ? .reset(.answerCutOff) : verdict
        }
        guard shadow.level == .requests else { return .reset(.answerCutOff) }
        let ahead = distance(request.receiveEnd, answer.sent)
        guard ahead >= 0 else { return .reset(.numbers) }
        let position = StreamPosition(receive: request.receiveEnd, send: request.before.send)
        return .reissue(position, head: request.head, expectsBytes: ahead > 0)
    }

    /// How far `end` lies behind `start`; negative when it lies before it (RFC 9293 §3.4).
    private static func distance(_ start: UInt32, _ end: UInt32) -> Int32 {
        Int32(bitPattern: end &- start)
    }
}
