// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes what becomes of a request: parser, path policy, writer. The first byte of the input says
// where the rest is split. A trap, an over-read or a broken promise ends the run.

import HTTPCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 1 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    let split = 1 + Int(start[0]) * (bytes.count - 1) / 256
    let policy = PathPolicy(
        dotSegments: split % 5 == 3 ? .reject : .resolve,
        encodedSlashes: split % 7 == 3 ? .decode : split % 7 == 5 ? .reject : .keep,
        mergesSlashes: split % 3 == 1)
    fuzzRequest(bytes, split: split, policy)
    return 0
}

/// A request that parses must be forwarded as one that parses to the same framing and path.
private func fuzzRequest(
    _ bytes: UnsafeRawBufferPointer, split: Int, _ policy: PathPolicy
) {
    var head = RequestHead()
    var progress = HeadProgress()
    let part = UnsafeRawBufferPointer(rebasing: bytes[..<split])
    let first = head.parse(part, progress: &progress)
    if case .needMore = first { _ = head.parse(bytes, progress: &progress) }
    progress = HeadProgress()
    guard case .complete(let count) = head.parse(bytes, progress: &progress) else { return }
    precondition(count <= bytes.count)
    if head.applyPathPolicy(policy, in: bytes) != nil { return }
    let framing = head.framing
    guard let output = written(&head, bytes), !head.authority.isEmpty else { return }
    let path = Array(head.canonicalPath(in: bytes))
    output.withUnsafeBytes { output in
        var progress = HeadProgress()
        let again = head.parse(output, progress: &progress)
        // Our own fields may carry a head of the largest size over a limit.
        if case .malformed(let fault) = again, fault.statusCode == 431 { return }
        precondition(again == .complete(headByteCount: output.count))
        precondition(head.framing == framing)
        // One form means that bringing it into that form again changes nothing.
        precondition(head.applyPathPolicy(policy, in: output) == nil)
        precondition(head.targetForm == .asterisk || path == Array(head.canonicalPath(in: output)))
    }
}

/// The head for the backend; `nil` for `CONNECT`.
private func written(_ head: inout RequestHead, _ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
    let address = Array("192.0.2.1".utf8)
    return address.withUnsafeBytes { address in
        var rewrite = RequestRewrite(clientAddress: address, scheme: .http, fallbackHost: address)
        if bytes.count % 3 == 1 {
            rewrite.writesForwarded = true
            rewrite.forwardedPort = 443
            rewrite.trustsPeer = bytes.count % 2 == 0
            rewrite.requestID = address
            rewrite.forwardsTrailers = true
            rewrite.offersTrailers = true
            rewrite.forwardsUpgrade = true
        }
        var output = [UInt8](repeating: 0, count: head.upstreamHeadByteCountMax(rewrite))
        let count = output.withUnsafeMutableBytes {
            head.writeUpstreamHead(from: bytes, rewrite: rewrite, into: $0)
        }
        guard let count else {
            precondition(head.method == .connect)
            return nil
        }
        return Array(output[..<count])
    }
}
