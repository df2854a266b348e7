// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer's entry for every HTTP decoder: the first byte of the input chooses the decoder, the
// second how the rest is split. A trap, an over-read or a broken invariant ends the run.

import HTTPCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 2 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: start + 2, count: count - 2)
    let split = 1 + Int(start[1]) * bytes.count / 256
    switch start[0] % 3 {
    case 0: fuzzRequest(bytes, split: split)
    case 1: fuzzResponse(bytes, split: split)
    default: fuzzChunks(bytes, split: split)
    }
    return 0
}

/// A request that parses must be forwarded as one that parses to the same framing.
private func fuzzRequest(_ bytes: UnsafeRawBufferPointer, split: Int) {
    var head = RequestHead()
    var progress = HeadProgress()
    let part = UnsafeRawBufferPointer(rebasing: bytes[..<split])
    let first = head.parse(part, progress: &progress)
    if case .needMore = first { _ = head.parse(bytes, progress: &progress) }
    progress = HeadProgress()
    guard case .complete(let count) = head.parse(bytes, progress: &progress) else { return }
    precondition(count <= bytes.count)
    let (framing, isConnect) = (head.framing, head.method == .connect)
    let host = UnsafeRawBufferPointer(rebasing: bytes[..<1])
    let rewrite = RequestRewrite(clientAddress: host, scheme: .http, fallbackHost: host)
    var output = [UInt8](repeating: 0, count: head.upstreamHeadByteCountMax(rewrite))
    guard
        let written = output.withUnsafeMutableBytes({
            head.writeUpstreamHead(from: bytes, rewrite: rewrite, into: $0)
        })
    else {
        precondition(isConnect)
        return
    }
    // Stand-ins for address and host are input bytes, so only heads with a host are read again.
    guard !head.authority.isEmpty, bytes[0] > 0x20, bytes[0] < 0x7F else { return }
    output.withUnsafeBytes { output in
        var progress = HeadProgress()
        let again = head.parse(
            UnsafeRawBufferPointer(rebasing: output[..<written]), progress: &progress)
        // Our own fields may carry a head of the largest size over a limit.
        if case .malformed(let fault) = again, fault.statusCode == 431 { return }
        precondition(again == .complete(headByteCount: written))
        precondition(head.framing == framing)
    }
}

/// A response that parses must be written for every kind of client as one that parses.
private func fuzzResponse(_ bytes: UnsafeRawBufferPointer, split: Int) {
    var head = ResponseHead()
    for method in [RequestMethod.get, .head] {
        var progress = HeadProgress()
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<split])
        if case .needMore = head.parse(part, answering: method, progress: &progress) {
            _ = head.parse(bytes, answering: method, progress: &progress)
        }
        for minorVersion in UInt8(0)...1 {
            var progress = HeadProgress()
            guard case .complete = head.parse(bytes, answering: method, progress: &progress)
            else { return }
            let framing = head.clientFraming(clientMinorVersion: minorVersion)
            let rewrite = ResponseRewrite(clientMinorVersion: minorVersion, keepsAlive: true)
            var output = [UInt8](repeating: 0, count: head.clientHeadByteCountMax)
            let written = output.withUnsafeMutableBytes {
                head.writeClientHead(from: bytes, rewrite: rewrite, into: $0)
            }
            guard let written else { preconditionFailure("the buffer was large enough") }
            output.withUnsafeBytes { output in
                var progress = HeadProgress()
                let again = head.parse(
                    UnsafeRawBufferPointer(rebasing: output[..<written]), answering: method,
                    progress: &progress)
                if case .malformed(let fault) = again, fault.statusCode == 431 { return }
                precondition(again == .complete(headByteCount: written))
                precondition(head.framing == framing)
            }
        }
    }
}

/// A chunked body must decode to the same payload whole and split.
private func fuzzChunks(_ bytes: UnsafeRawBufferPointer, split: Int) {
    let whole = decode([bytes])
    let parts = decode([
        UnsafeRawBufferPointer(rebasing: bytes[..<split]),
        UnsafeRawBufferPointer(rebasing: bytes[split...]),
    ])
    precondition(whole.payload == parts.payload)
    precondition(whole.status == parts.status)
}

private func decode(
    _ parts: [UnsafeRawBufferPointer]
) -> (payload: [UInt8], status: BodyStep.Status) {
    var decoder = BodyDecoder(.chunked)
    var payload: [UInt8] = []
    var status = BodyStep.Status.more
    for part in parts {
        var at = 0
        while at < part.count, status == .more {
            let rest = UnsafeRawBufferPointer(rebasing: part[at...])
            let step = decoder.next(rest)
            payload += rest[step.payloadOffset..<(step.payloadOffset + step.payloadByteCount)]
            at += step.consumedByteCount
            status = step.status
        }
    }
    return (payload, status)
}
