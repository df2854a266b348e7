// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes what becomes of a response head: parser and writer. The first byte of the input says where
// the rest is split. A trap, an over-read or a broken promise ends the run.

import HTTPCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 1 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    fuzzResponse(bytes, split: 1 + Int(start[0]) * (bytes.count - 1) / 256)
    return 0
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
            var output = [UInt8](repeating: 0, count: head.clientHeadByteCountMax(rewrite))
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
