// SPDX-License-Identifier: Apache-2.0
//
// What the tests see of a head: plain values that can be compared and printed.

import HTTPCore

/// A field line as text.
struct Field: Equatable {
    var name: String
    var value: String
}

/// All facts about a parsed request.
struct RequestFacts: Equatable {
    var method = ""
    var target = ""
    var targetForm = TargetForm.origin
    var path = ""
    var query = ""
    var authority = ""
    var host = ""
    var port: UInt16?
    var minorVersion: UInt8 = 1
    var framing = BodyFraming.none
    var keepsAlive = true
    var expectsContinue = false
    var requestsUpgrade = false
    var headByteCount = 0
    var fields: [Field] = []
}

/// What a parser said about some bytes.
enum Verdict<Facts: Equatable>: Equatable {
    case needMore
    case malformed(MessageFault)
    case complete(Facts)

    var facts: Facts? {
        if case .complete(let facts) = self { facts } else { nil }
    }
}

/// Bytes that live for ever.
func wire(_ text: StaticString) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
}

func text(_ range: ByteRange, _ bytes: UnsafeRawBufferPointer) -> String {
    // Latin-1, so that every byte is one character and nothing is repaired.
    String(
        String.UnicodeScalarView(range.bytes(in: bytes).map { Unicode.Scalar($0) }))
}

extension RequestHead {
    func facts(_ bytes: UnsafeRawBufferPointer) -> RequestFacts {
        RequestFacts(
            method: text(methodRange, bytes), target: text(target, bytes),
            targetForm: targetForm, path: text(path, bytes), query: text(query, bytes),
            authority: text(authority, bytes), host: text(host, bytes), port: port,
            minorVersion: minorVersion, framing: framing, keepsAlive: keepsAlive,
            expectsContinue: expectsContinue, requestsUpgrade: requestsUpgrade,
            headByteCount: headByteCount,
            fields: (0..<fieldCount).map {
                Field(name: text(fieldName($0), bytes), value: text(fieldValue($0), bytes))
            })
    }
}

/// Runs a request head through one parser that is reused, as a worker does.
final class RequestBench {
    var head: RequestHead
    let memory = GuardedBytes(capacity: 128 * 1024)

    init(limits: HeadLimits = HeadLimits()) {
        head = RequestHead(limits: limits)
    }

    /// The verdict on bytes that arrived at once.
    func verdict(_ bytes: some Collection<UInt8>) -> Verdict<RequestFacts> {
        var progress = HeadProgress()
        return look(bytes, &progress)
    }

    /// The verdict on bytes that arrived so far, given what was seen of them before.
    func look(
        _ bytes: some Collection<UInt8>, _ progress: inout HeadProgress
    ) -> Verdict<RequestFacts> {
        memory.with(bytes) { buffer in
            switch head.parse(buffer, progress: &progress) {
            case .needMore: return .needMore
            case .malformed(let fault): return .malformed(fault)
            case .complete(let count):
                precondition(count == head.headByteCount)
                return .complete(head.facts(buffer))
            }
        }
    }

    /// The verdict on bytes that arrive in pieces of the given sizes, the rest as the last piece.
    func verdict(_ bytes: [UInt8], pieces: [Int]) -> Verdict<RequestFacts> {
        var progress = HeadProgress()
        var end = 0
        for piece in pieces + [bytes.count] where end < bytes.count {
            end = min(bytes.count, end + piece)
            let verdict = look(bytes[..<end], &progress)
            if verdict != .needMore { return verdict }
        }
        return .needMore
    }

    /// The upstream head for bytes that parse; `nil` otherwise.
    func rewrite(
        _ bytes: [UInt8], scheme: URIScheme = .http, clientAddress: String = "192.0.2.7",
        missingByteCount: Int = 0, configure: (inout RequestRewrite) -> Void = { _ in }
    ) -> [UInt8]? {
        var progress = HeadProgress()
        let address = Array(clientAddress.utf8)
        let fallback = Array("backend:8080".utf8)
        return memory.with(bytes) { buffer in
            guard case .complete = head.parse(buffer, progress: &progress) else { return nil }
            return address.withUnsafeBytes { address in
                fallback.withUnsafeBytes { fallback in
                    var rewrite = RequestRewrite(
                        clientAddress: address, scheme: scheme, fallbackHost: fallback)
                    configure(&rewrite)
                    let byteCount = head.upstreamHeadByteCountMax(rewrite) - missingByteCount
                    var output = [UInt8](repeating: 0, count: byteCount)
                    let written = output.withUnsafeMutableBytes {
                        head.writeUpstreamHead(from: buffer, rewrite: rewrite, into: $0)
                    }
                    return written.map { Array(output[..<$0]) }
                }
            }
        }
    }
}
