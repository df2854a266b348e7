// SPDX-License-Identifier: Apache-2.0
//
// What a backend that refuses says about coming back. Looked for in answers that are failures
// only, so the name needs no place among those that every head is searched for.

extension ResponseHead {
    /// The longest wait that is told apart from longer ones.
    public static let retryAfterSecondsMax: UInt32 = 86_400

    /// RFC 9110 §10.2.3: the seconds that `Retry-After` asks for; `nil` without a valid one.
    ///
    /// - Parameters:
    ///   - input: the bytes that were parsed.
    ///   - unixSeconds: the present, which a date is compared with.
    /// - Returns: at most `retryAfterSecondsMax`; 0 for a date that has passed.
    public func retryAfterSeconds(
        in input: UnsafeRawBufferPointer, unixSeconds: UInt64
    ) -> UInt32? {
        let name: StaticString = "retry-after"
        for index in 0..<fields.count {
            let slot = fields.slot(index)
            guard slot.field == .other, Int(slot.nameByteCount) == name.utf8CodeUnitCount else {
                continue
            }
            let line = unsafe slot.name.bytes(in: input)
            guard let start = line.baseAddress,
                unsafe ByteScanner.matches(start.assumingMemoryBound(to: UInt8.self), name)
            else { continue }
            let value = unsafe slot.value.bytes(in: input)
            if let seconds = unsafe Self.seconds(value) { return seconds }
            guard let then = unsafe HTTPDate.unixSeconds(value, now: unixSeconds) else {
                return nil
            }
            let wait = then > unixSeconds ? then - unixSeconds : 0
            return UInt32(min(wait, UInt64(Self.retryAfterSecondsMax)))
        }
        return nil
    }

    private static func seconds(_ digits: UnsafeRawBufferPointer) -> UInt32? {
        guard unsafe !digits.isEmpty else { return nil }
        var value: UInt32 = 0
        for offset in 0..<digits.count {
            let byte = unsafe digits[offset]
            guard ASCII.isDigit(byte) else { return nil }
            value = min(value &* 10 &+ UInt32(byte &- ASCII.zero), retryAfterSecondsMax)
        }
        return value
    }
}
