// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the chunked decoder with its trailers. The first byte of the input says where the rest is
// split; a body must decode to the same payload whole, in two parts and byte by byte.

import HTTPCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 1 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    let split = 1 + Int(start[0]) * (bytes.count - 1) / 256
    let whole = decode(bytes, pieceByteCount: bytes.count)
    precondition(whole == decode(bytes, pieceByteCount: split))
    precondition(whole == decode(bytes, pieceByteCount: 1))
    if whole.status == .complete { checkAgain(whole.payload) }
    return 0
}

private struct Decoded: Equatable {
    var payload: [UInt8] = []
    var consumedByteCount = 0
    var status = BodyStep.Status.more
}

private func decode(_ bytes: UnsafeRawBufferPointer, pieceByteCount: Int) -> Decoded {
    var decoder = BodyDecoder(.chunked)
    var result = Decoded()
    var start = 0
    while start < bytes.count, result.status == .more {
        let end = min(bytes.count, start + pieceByteCount)
        let step = decoder.next(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        precondition(step.consumedByteCount <= end - start)
        let run =
            (start + step.payloadOffset)..<(start + step.payloadOffset + step.payloadByteCount)
        precondition(run.upperBound <= end)
        result.payload += bytes[run]
        result.status = step.status
        if case .malformed = step.status {
            // How far it read before the fault depends on the pieces, and nobody asks.
            result.consumedByteCount = 0
            return result
        }
        start += step.consumedByteCount
        result.consumedByteCount = start
        precondition(step.consumedByteCount > 0 || step.status != .more)
    }
    precondition(decoder.isComplete == (result.status == .complete))
    return result
}

/// What we frame ourselves must decode to the same payload.
private func checkAgain(_ payload: [UInt8]) {
    var framed: [UInt8] = []
    if !payload.isEmpty {
        var line = [UInt8](repeating: 0, count: ChunkFramer.sizeLineByteCountMax)
        let count = line.withUnsafeMutableBytes {
            ChunkFramer.writeSizeLine(payloadByteCount: payload.count, into: $0)
        }
        guard let count else { preconditionFailure("the buffer was large enough") }
        framed = line[..<count] + payload + Array("\r\n".utf8)
    }
    framed += Array("0\r\n\r\n".utf8)
    framed.withUnsafeBytes { framed in
        let again = decode(framed, pieceByteCount: framed.count)
        precondition(again.status == .complete && again.payload == payload)
    }
}
