// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the reader of PROXY headers, both versions: every prefix of a header asks for more, and
// what we would write for the same connection reads the same.

import WireCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    guard case .complete(let header) = ProxyHeader.decode(bytes.bytes) else { return 0 }
    precondition(header.byteCount > 0 && header.byteCount <= count)
    precondition(header.byteCount <= ProxyHeader.byteCountMax)
    for length in [0, 1, 5, 12, 15, 16, header.byteCount / 2, header.byteCount - 1]
    where length < header.byteCount {
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<length])
        precondition(ProxyHeader.decode(part.bytes) == .needMore)
    }
    let exact = UnsafeRawBufferPointer(rebasing: bytes[..<header.byteCount])
    precondition(ProxyHeader.decode(exact.bytes) == .complete(header))
    for written in [ProxyHeader.line(for: header.connection), .init(header.connection)] {
        written.withUnsafeBytes { written in
            guard case .complete(let again) = ProxyHeader.decode(written.bytes) else {
                preconditionFailure("what we write does not read")
            }
            precondition(again.connection?.plain == header.connection?.plain)
            precondition(again.byteCount == written.count)
        }
    }
    return 0
}

extension ProxyHeader.Connection {
    /// An IPv4 address and the same one mapped into IPv6 are one; writing chooses.
    fileprivate var plain: Self {
        var plain = self
        plain.source.address = source.address.unmapped
        plain.destination.address = destination.address.unmapped
        return plain
    }
}

extension [UInt8] {
    /// The header of version 2.
    fileprivate init(_ connection: ProxyHeader.Connection?) {
        self = ProxyHeader.binary(for: connection)
    }
}
