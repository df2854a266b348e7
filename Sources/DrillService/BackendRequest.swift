// SPDX-License-Identifier: Apache-2.0
//
// One request as the test backend received it: the facts that outlive the parser's buffer, and the
// body as far as `/echo` wants it.

internal import HTTPCore

/// A request whose body is still arriving.
final class BackendRequest {
    let method: RequestMethod
    let path: [UInt8]
    let keepsAlive: Bool
    let expectsContinue: Bool
    let headBytes: [UInt8]
    private(set) var keptBody: [UInt8] = []
    private(set) var isBodyTooLarge = false
    private(set) var isMalformed = false
    private var decoder: BodyDecoder

    /// Copies what a head that was just parsed from `bytes` says.
    init(_ head: borrowing RequestHead, in bytes: UnsafeRawBufferPointer) {
        method = head.method
        path = Array(head.path.bytes(in: bytes))
        keepsAlive = head.keepsAlive
        expectsContinue = head.expectsContinue
        headBytes = Array(bytes.prefix(head.headByteCount))
        decoder = BodyDecoder(head.framing)
    }

    /// True when the whole body was taken.
    var isComplete: Bool { decoder.isComplete }

    /// Takes body bytes, keeping at most `keepMax` of their payload.
    ///
    /// - Returns: the number of bytes taken; fewer than given when the body ended.
    func take(_ bytes: [UInt8], keepMax: Int) -> Int {
        bytes.withUnsafeBytes { bytes in
            var taken = 0
            while !decoder.isComplete, taken < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[taken...])
                let step = decoder.next(rest)
                if case .malformed = step.status {
                    isMalformed = true
                    return taken
                }
                keep(rest[step.payloadOffset...].prefix(step.payloadByteCount), keepMax)
                taken += step.consumedByteCount
            }
            return taken
        }
    }

    private func keep(_ payload: Slice<UnsafeRawBufferPointer>, _ keepMax: Int) {
        if keptBody.count + payload.count > keepMax {
            isBodyTooLarge = true
        } else {
            keptBody += payload
        }
    }
}
