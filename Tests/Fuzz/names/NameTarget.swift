// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the reader of name servers' answers: what it finds is bounded and clean, whatever the
// message says. The first byte chooses the question.

import WireCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 0 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    switch start[0] % 3 {
    case 0: check(NameMessage.addresses(bytes, .a), bytes)
    case 1: check(NameMessage.addresses(bytes, .aaaa), bytes)
    default: check(NameMessage.services(bytes), bytes)
    }
    return 0
}

private func check<Record>(_ outcome: NameLookupOutcome<Record>, _ bytes: [UInt8]) {
    switch outcome {
    case .records(let found, let ttl):
        precondition(!found.isEmpty && found.count <= NameMessage.recordsMax)
        // A record takes eleven bytes at least, its data not counted.
        precondition(found.count * 11 <= bytes.count)
        precondition(ttl <= .seconds(UInt64(NameMessage.ttlSecondsMax)))
        for case let record as ServiceRecord in found {
            precondition(record.port != 0 && !record.host.isEmpty && record.host.utf8.count < 255)
            precondition(record.host.utf8.allSatisfy(isHostByte))
        }
    case .noRecords:
        break
    case .failed(let failure):
        precondition(failure == .malformed)
    case .noSuchName:
        preconditionFailure("the header's code is not the reader's")
    }
}

private func isHostByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
    default: false
    }
}
