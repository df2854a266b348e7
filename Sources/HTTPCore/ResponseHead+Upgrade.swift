// SPDX-License-Identifier: Apache-2.0
//
// Whether a 101 is the answer to the upgrade that was forwarded.

extension ResponseHead {
    /// True when the backend switches to `websocket` and nothing else (RFC 6455 §4.1).
    ///
    /// Ask only after a request with `forwardsUpgrade` that `requestsWebSocket`: a 101 that nobody
    /// asked for is malformed whatever it says (RFC 9110 §15.2.2). `input` is the buffer that was
    /// parsed last.
    public func switchesToWebSocket(in input: UnsafeRawBufferPointer) -> Bool {
        // RFC 9110 §7.8: HTTP/1.0 cannot upgrade; Upgrade without Connection means nothing.
        guard switchesProtocols, minorVersion == 1, input.count >= headByteCount,
            let start = input.baseAddress, let slot = fields.firstSlot(.upgrade),
            !fields.repeated.contains(.upgrade)
        else { return false }
        let base = unsafe start.assumingMemoryBound(to: UInt8.self)
        guard
            unsafe ByteScanner.matches(
                base + slot.value.offset, count: slot.value.count, "websocket"),
            let options = unsafe try? fields.readConnection(base)
        else { return false }
        return options.hasUpgrade
    }
}
