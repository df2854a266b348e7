// SPDX-License-Identifier: Apache-2.0
//
// What the tests see of a response head: plain values that can be compared and printed.

import HTTPCore

/// All facts about a parsed response.
struct ResponseFacts: Equatable {
    var status: UInt16 = 200
    var reason = ""
    var minorVersion: UInt8 = 1
    var framing = BodyFraming.none
    var describedLength: UInt64?
    var keepsAlive = true
    var headByteCount = 0
    var isInterim = false
    var switchesProtocols = false
    var fields: [Field] = []
}

/// Runs response heads through one parser that is reused.
final class ResponseBench {
    var head: ResponseHead
    let memory = GuardedBytes(capacity: 128 * 1024)

    init(limits: HeadLimits = HeadLimits()) {
        head = ResponseHead(limits: limits)
    }

    /// The verdict on bytes that arrived at once.
    func verdict(
        _ bytes: some Collection<UInt8>, answering method: RequestMethod = .get
    ) -> Verdict<ResponseFacts> {
        var progress = HeadProgress()
        return look(bytes, answering: method, &progress)
    }

    func look(
        _ bytes: some Collection<UInt8>, answering method: RequestMethod,
        _ progress: inout HeadProgress
    ) -> Verdict<ResponseFacts> {
        memory.with(bytes) { buffer in
            switch head.parse(buffer, answering: method, progress: &progress) {
            case .needMore: return .needMore
            case .malformed(let fault): return .malformed(fault)
            case .complete: return .complete(facts(buffer))
            }
        }
    }

    private func facts(_ bytes: UnsafeRawBufferPointer) -> ResponseFacts {
        ResponseFacts(
            status: head.status, reason: text(head.reason, bytes),
            minorVersion: head.minorVersion, framing: head.framing,
            describedLength: head.describedLength, keepsAlive: head.keepsAlive,
            headByteCount: head.headByteCount, isInterim: head.isInterim,
            switchesProtocols: head.switchesProtocols,
            fields: (0..<head.fieldCount).map {
                Field(
                    name: text(head.fieldName($0), bytes), value: text(head.fieldValue($0), bytes))
            })
    }

    /// The verdict on bytes that arrive in pieces of one size.
    func verdict(
        _ bytes: [UInt8], answering method: RequestMethod, pieceByteCount: Int
    ) -> Verdict<ResponseFacts> {
        var progress = HeadProgress()
        var end = 0
        while end < bytes.count {
            end = min(bytes.count, end + pieceByteCount)
            let verdict = look(bytes[..<end], answering: method, &progress)
            if verdict != .needMore { return verdict }
        }
        return .needMore
    }

    /// The client's head for bytes that parse; `nil` otherwise.
    func rewrite(
        _ bytes: [UInt8], answering method: RequestMethod = .get, clientMinorVersion: UInt8 = 1,
        keepsAlive: Bool = true, missingByteCount: Int = 0,
        configure: (inout ResponseRewrite) -> Void = { _ in }
    ) -> [UInt8]? {
        var progress = HeadProgress()
        return memory.with(bytes) { buffer in
            guard case .complete = head.parse(buffer, answering: method, progress: &progress)
            else { return nil }
            var rewrite = ResponseRewrite(
                clientMinorVersion: clientMinorVersion, keepsAlive: keepsAlive)
            configure(&rewrite)
            let byteCount = head.clientHeadByteCountMax(rewrite) - missingByteCount
            var output = [UInt8](repeating: 0, count: byteCount)
            let written = output.withUnsafeMutableBytes {
                head.writeClientHead(from: buffer, rewrite: rewrite, into: $0)
            }
            return written.map { Array(output[..<$0]) }
        }
    }
}
