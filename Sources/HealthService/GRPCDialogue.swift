// SPDX-License-Identifier: Apache-2.0
//
// The gRPC probe: grpc.health.v1.Health/Check over HTTP/2 without TLS, as "gRPC over HTTP2" and
// "GRPC Health Checking Protocol" of the gRPC project define it.

import BalancerCore
import HTTP2IO
import LinuxIO

/// Probes of type grpc over one connection.
final class GRPCDialogue: ProbeDialogue {
    /// Bytes that a peer may send for one answer, frames of every kind included.
    static let answerByteCountMax = 65_536

    private let request: HTTP2Request
    private var session: HTTP2ClientSession?
    private var receivedByteCount = 0

    init(service: String, authority: String) {
        request = HTTP2Request(
            fields: [
                HTTP2Field(":method", "POST"), HTTP2Field(":scheme", "http"),
                HTTP2Field(":path", "/grpc.health.v1.Health/Check"),
                HTTP2Field(":authority", authority), HTTP2Field("te", "trailers"),
                HTTP2Field("content-type", "application/grpc"),
                HTTP2Field("user-agent", "tandem-health-check"),
            ], body: GRPCHealthMessage.request(service: service))
        session = try? HTTP2ClientSession()
    }

    let isAnsweredBySending = false
    var hasAnswerBegun: Bool { session?.answer.fields.isEmpty == false }

    func ask(isLast: Bool) -> [UInt8] {
        receivedByteCount = 0
        do {
            try session?.begin(request)
            return try session?.takeOutput() ?? []
        } catch {
            session = nil
            return []
        }
    }

    func receive(_ bytes: [UInt8]) -> DialogueStep {
        guard let session else { return .ended(.failed(.system("out of memory"))) }
        receivedByteCount += bytes.count
        let output: [UInt8]
        do {
            try session.receive(bytes)
            // A violation must not hide an answer that came whole before it.
            output = try session.takeOutput()
        } catch {
            self.session = nil
            return .ended(Self.outcome(of: error))
        }
        let answer = session.answer
        if answer.isUnprocessed { return .declined }
        if answer.isTooLarge { return .ended(.failed(.responseTooLong)) }
        if answer.isClosed { return .ended(Self.judge(answer)) }
        guard receivedByteCount < Self.answerByteCountMax else {
            return .ended(.failed(.responseTooLong))
        }
        return .goOn(send: output)
    }

    func inputEnded() -> ProbeOutcome { .failed(.connectionClosed) }

    func receiveWhileIdle(_ bytes: [UInt8]) -> Bool {
        guard let session else { return false }
        do {
            try session.receive(bytes)
        } catch {
            return false
        }
        return session.takesRequests
    }

    var isWorthKeeping: Bool { takesAnotherQuestion }
    var takesAnotherQuestion: Bool { session?.takesRequests == true }

    private static func outcome(of fault: HTTP2Fault) -> ProbeOutcome {
        switch fault {
        case .protocolViolation: .failed(.malformedResponse)
        case .flooded: .failed(.responseTooLong)
        case .outOfMemory: .notMade(.outOfMemory)
        }
    }

    /// SERVING passes; everything else says why not.
    private static func judge(_ answer: HTTP2Answer) -> ProbeOutcome {
        guard answer.isComplete else { return .failed(.connectionClosed) }
        guard let statusText = answer.last(":status"), let status = Int(statusText) else {
            return .failed(.malformedResponse)
        }
        // Whatever is no gRPC server answers with a plain HTTP status.
        guard status == 200 else { return .failed(.unexpectedStatus(status)) }
        guard let callText = answer.last("grpc-status"), let call = UInt8(callText) else {
            return .failed(.malformedResponse)
        }
        guard call == 0 else { return .failed(.callStatus(Int(call))) }
        guard let serving = GRPCHealthMessage.servingStatus(of: answer.body) else {
            return .failed(.malformedResponse)
        }
        return serving == .serving ? .passed : .failed(.notServing(serving))
    }
}
