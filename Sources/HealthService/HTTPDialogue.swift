// SPDX-License-Identifier: Apache-2.0
//
// The HTTP/1.1 probe: asks, judges status and body, leaves the rest of the body for later.

import BalancerCore
import ConfigurationCore
import HTTPCore

/// Probes of type http over one connection.
final class HTTPDialogue: ProbeDialogue {
    /// Bytes of an answer's head that are read, interim heads included.
    static let headByteCountMax = 8_192
    /// Bytes of a body that are searched.
    static let bodyByteCountMax = 65_536

    private let probe: HTTPProbe
    private let method: RequestMethod
    private let requestLines: String
    private var head: ResponseHead
    private var progress = HeadProgress()
    private var unparsed: [UInt8] = []
    private var headByteCount = 0
    private var body: BodyDecoder?
    private var matcher = ByteMatcher([])
    private var bodyByteCount = 0
    private var isLast = false
    private var hasExcess = false

    init(_ probe: HTTPProbe, host: String) {
        self.probe = probe
        method =
            switch probe.method {
            case "HEAD": .head
            case "OPTIONS": .options
            default: .get
            }
        var limits = HeadLimits()
        limits.headByteCountMax = Self.headByteCountMax
        head = ResponseHead(limits: limits)
        var lines = ["\(probe.method) \(probe.path) HTTP/1.1"]
        let names = Set(probe.headers.map { $0.name.lowercased() })
        if !names.contains("host") { lines.append("Host: \(host)") }
        if !names.contains("user-agent") { lines.append("User-Agent: tandem-health-check") }
        if !names.contains("accept") { lines.append("Accept: */*") }
        lines += probe.headers.map { "\($0.name): \($0.value)" }
        requestLines = lines.joined(separator: "\r\n")
    }

    let isAnsweredBySending = false

    func ask(isLast: Bool) -> [UInt8] {
        progress = HeadProgress()
        unparsed = []
        headByteCount = 0
        body = nil
        bodyByteCount = 0
        hasExcess = false
        matcher = ByteMatcher(Array((probe.body ?? "").utf8))
        self.isLast = isLast
        // RFC 9112 §9.6: says that the connection is not used again.
        return Array((requestLines + (isLast ? "\r\nConnection: close" : "") + "\r\n\r\n").utf8)
    }

    var hasAnswerBegun: Bool { headByteCount > 0 || !unparsed.isEmpty }

    func receive(_ bytes: [UInt8]) -> DialogueStep {
        guard body == nil else { return lookAtBody(bytes) }
        unparsed += bytes
        while true {
            let room = Self.headByteCountMax - headByteCount
            let outcome = unparsed.withUnsafeBytes {
                head.parse($0, answering: method, progress: &progress)
            }
            switch outcome {
            case .needMore:
                return unparsed.count >= room
                    ? .ended(.failed(.responseTooLong)) : .goOn(send: [])
            case .malformed(.headTooLarge), .malformed(.tooManyFields):
                return .ended(.failed(.responseTooLong))
            case .malformed:
                return .ended(.failed(.malformedResponse))
            case .complete(let byteCount):
                headByteCount += byteCount
                guard byteCount <= room else { return .ended(.failed(.responseTooLong)) }
                unparsed.removeFirst(byteCount)
                progress = HeadProgress()
                if head.isInterim { continue }
                return headEnded()
            }
        }
    }

    private func headEnded() -> DialogueStep {
        guard probe.statuses.contains(where: { $0.contains(head.status) }) else {
            return .ended(.failed(.unexpectedStatus(Int(head.status))))
        }
        body = BodyDecoder(head.framing)
        let rest = unparsed
        unparsed = []
        return lookAtBody(rest)
    }

    /// Passes as soon as the text was seen; without one the head is the answer.
    private func lookAtBody(_ bytes: [UInt8]) -> DialogueStep {
        let isWhole = decode(bytes)
        if matcher.isFound { return .ended(.passed) }
        guard let isWhole else { return .ended(.failed(.malformedResponse)) }
        guard !isWhole, bodyByteCount < Self.bodyByteCountMax else {
            return .ended(.failed(.bodyMismatch))
        }
        return .goOn(send: [])
    }

    /// Takes body bytes in; `nil` when they break a rule, true when the body is complete.
    private func decode(_ bytes: [UInt8]) -> Bool? {
        guard var decoder = body else { return nil }
        defer { body = decoder }
        return bytes.withUnsafeBytes { bytes -> Bool? in
            var offset = 0
            while offset < bytes.count, !decoder.isComplete {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                let step = decoder.next(rest)
                if case .malformed = step.status { return nil }
                search(rest, step)
                // Framing that is not complete yet may consume nothing only at the very end.
                guard step.consumedByteCount > 0 else { break }
                offset += step.consumedByteCount
            }
            if offset < bytes.count, decoder.isComplete { hasExcess = true }
            return decoder.isComplete
        }
    }

    private func search(_ bytes: UnsafeRawBufferPointer, _ step: BodyStep) {
        let count = min(step.payloadByteCount, Self.bodyByteCountMax - bodyByteCount)
        guard count > 0 else { return }
        bodyByteCount += count
        let end = step.payloadOffset + count
        matcher.look(at: UnsafeRawBufferPointer(rebasing: bytes[step.payloadOffset..<end]))
    }

    func inputEnded() -> ProbeOutcome {
        guard body?.inputEnded() == true else { return .failed(.connectionClosed) }
        return matcher.isFound ? .passed : .failed(.bodyMismatch)
    }

    func receiveWhileIdle(_ bytes: [UInt8]) -> Bool {
        decode(bytes) != nil && !hasExcess
    }

    var isWorthKeeping: Bool {
        !isLast && head.keepsAlive && head.status != 101 && !hasExcess
    }

    var takesAnotherQuestion: Bool { isWorthKeeping && body?.isComplete == true }
}
