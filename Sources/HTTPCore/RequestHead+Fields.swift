// SPDX-License-Identifier: Apache-2.0
//
// What the fields of a request mean for the connection: host, framing, persistence, expectations.
// The framing rules decide who owns which byte: ambiguity is refused, never resolved.

extension RequestHead {
    /// The names that decide anything here; a head without them but `Host` takes the short way.
    private static var decisive: KnownFieldSet {
        [.connection, .contentLength, .transferEncoding, .expect, .te]
    }

    /// Judges the fields just scanned and sets the facts they decide.
    @inline(__always)
    mutating func judgeFields(_ base: UnsafePointer<UInt8>) throws(HeadStop) {
        unsafe try judgeHost(base)
        framing = .none
        keepsAlive = minorVersion == 1
        expectsContinue = false
        requestsUpgrade = false
        requestsWebSocket = false
        acceptsTrailers = false
        connectionNamesFields = false
        guard !fields.seen.isDisjoint(with: Self.decisive) else { return }
        if fields.seen.contains(.connection) { unsafe try judgeConnection(base) }
        framing = unsafe try fields.framing(base, minorVersion: minorVersion)
        if fields.seen.contains(.expect) { unsafe try judgeExpect(base) }
        if let slot = fields.firstSlot(.te) {
            acceptsTrailers = unsafe ByteScanner.matches(
                base + slot.value.offset, count: slot.value.count, "trailers")
        }
    }

    /// RFC 9112 §3.2: exactly one valid `Host` in HTTP/1.1; §3.2.2: the target's host goes first.
    @inline(__always)
    private mutating func judgeHost(_ base: UnsafePointer<UInt8>) throws(HeadStop) {
        guard !fields.repeated.contains(.host) else { throw .fault(.repeatedHost) }
        guard let slot = fields.firstSlot(.host) else {
            guard minorVersion == 0 else { throw .fault(.missingHost) }
            if targetForm == .origin || targetForm == .asterisk {
                authority = .empty
                host = .empty
                port = nil
            }
            return
        }
        guard let parsed = unsafe Authority(base, slot.value, classes: fields.classes) else {
            throw .fault(.invalidHost)
        }
        guard targetForm == .origin || targetForm == .asterisk else { return }
        authority = slot.value
        host = parsed.host
        port = parsed.port
    }

    /// RFC 9110 §7.6.1 and RFC 9112 §9.3.
    private mutating func judgeConnection(_ base: UnsafePointer<UInt8>) throws(HeadStop) {
        let options = unsafe try fields.readConnection(base)
        keepsAlive = options.keepsAlive(minorVersion: minorVersion)
        connectionNamesFields = options.namesOtherFields
        // RFC 9110 §7.8: `Upgrade` counts only when `Connection` names it, and not in HTTP/1.0.
        requestsUpgrade =
            options.hasUpgrade && fields.seen.contains(.upgrade) && minorVersion == 1
        guard requestsUpgrade, let slot = fields.firstSlot(.upgrade) else { return }
        requestsWebSocket =
            unsafe !fields.repeated.contains(.upgrade)
            && ByteScanner.matches(
                base + slot.value.offset, count: slot.value.count, "websocket")
    }

    /// RFC 9110 §10.1.1: one known expectation, ignored in HTTP/1.0.
    private mutating func judgeExpect(_ base: UnsafePointer<UInt8>) throws(HeadStop) {
        guard let slot = fields.firstSlot(.expect), !fields.repeated.contains(.expect),
            unsafe ByteScanner.matches(
                base + slot.value.offset, count: slot.value.count, "100-continue")
        else { throw .fault(.unknownExpectation) }
        // A body of no bytes cannot be waited for: whoever owned it would be unclear.
        expectsContinue = minorVersion == 1 && framing != .none && framing != .length(0)
    }
}
