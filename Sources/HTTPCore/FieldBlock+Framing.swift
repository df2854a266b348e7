// SPDX-License-Identifier: Apache-2.0
//
// Message framing from `Content-Length` and `Transfer-Encoding` (RFC 9112 §6), the same for
// requests and responses: one way to read it or a fault.

extension FieldBlock {
    /// The framing that the fields declare; `.none` when they declare nothing.
    func framing(
        _ base: UnsafePointer<UInt8>, minorVersion: UInt8
    ) throws(HeadStop) -> BodyFraming {
        if let slot = firstSlot(.transferEncoding) {
            // RFC 9112 §6.1: both fields together are an attempt to smuggle.
            guard !seen.contains(.contentLength) else {
                throw .fault(.transferEncodingWithContentLength)
            }
            // RFC 9112 §6.1: an HTTP/1.0 sender cannot know the field; its framing is faulty.
            guard minorVersion == 1 else { throw .fault(.transferEncodingInHTTP10) }
            if !repeated.contains(.transferEncoding),
                unsafe ByteScanner.matches(
                    base + slot.value.offset, count: slot.value.count, "chunked")
            {
                return .chunked
            }
            throw unsafe .fault(transferEncodingFault(base))
        }
        guard let slot = firstSlot(.contentLength) else { return .none }
        guard !repeated.contains(.contentLength) else { throw .fault(.repeatedContentLength) }
        guard let length = unsafe Self.decimal(base + slot.value.offset, count: slot.value.count)
        else { throw .fault(.invalidContentLength) }
        return .length(length)
    }

    /// RFC 9112 §6.2: digits only.
    ///
    /// RFC 9110 §8.6 would let equal values be merged; we do not.
    private static func decimal(_ digits: UnsafePointer<UInt8>, count: Int) -> UInt64? {
        guard count >= 1, count <= 19 else { return nil }
        var value: UInt64 = 0
        var offset = 0
        while offset < count {
            let byte = unsafe digits[offset]
            guard ASCII.isDigit(byte) else { return nil }
            // 19 digits stay below 10^19, which fits 64 bits.
            value = value &* 10 &+ UInt64(byte &- ASCII.zero)
            offset &+= 1
        }
        return value <= BodyFraming.lengthMax ? value : nil
    }

    /// Tells a list that ends in `chunked` after other codings (501) from all else (400).
    private func transferEncodingFault(_ base: UnsafePointer<UInt8>) -> MessageFault {
        var endsInChunked = false
        var index = 0
        while index < count {
            let slot = slot(index)
            index &+= 1
            guard slot.field == .transferEncoding else { continue }
            var at = slot.value.offset
            let end = slot.value.end
            repeat {
                while at < end, unsafe ASCII.isBlank(base[at]) { at &+= 1 }
                let stop = unsafe ByteScanner.tokenEnd(base, from: at, to: end, classes: classes)
                // RFC 9112 §7.1: chunked is applied once and last, so nothing may follow it.
                guard stop > at, !endsInChunked else { return .invalidTransferEncoding }
                endsInChunked = unsafe ByteScanner.matches(
                    base + at, count: stop &- at, "chunked")
                at = stop
                while at < end, unsafe ASCII.isBlank(base[at]) { at &+= 1 }
                guard unsafe at == end || base[at] == ASCII.comma else {
                    return .invalidTransferEncoding
                }
                at &+= 1
            } while at <= end
        }
        return endsInChunked ? .unknownTransferCoding : .invalidTransferEncoding
    }
}
