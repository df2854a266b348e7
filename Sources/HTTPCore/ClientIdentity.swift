// SPDX-License-Identifier: Apache-2.0
//
// Who the client of a request is when proxies stand before us: their forwarding fields are read
// from right to left, as far as each writer is trusted. What is left of that anyone may have made
// up.

public import WireCore

/// The client of one request.
public struct ClientIdentity: Equatable, Sendable {
    /// The client's address.
    public let address: IPAddress
    /// True when the peer is a trusted proxy, so that its other forwarding fields are believed.
    public let isPeerTrusted: Bool

    /// How many elements of forwarding fields are read, empty ones included.
    ///
    /// Behind that the last trusted address is the client.
    public static let elementCountMax = 32

    /// A client that nobody stands before, or that nobody may speak for.
    public init(address: IPAddress, isPeerTrusted: Bool) {
        self.address = address
        self.isPeerTrusted = isPeerTrusted
    }

    /// Finds the client behind the trusted proxies.
    ///
    /// The walk begins at `peer` and goes over all lines of `X-Forwarded-For` from right to left;
    /// over `Forwarded` (RFC 7239) only when there is no `X-Forwarded-For`, since a proxy that
    /// writes one of the two may pass on a client's other one. The first address that is not in
    /// `trusted` is the client. An element that is no address ends the walk at the last trusted
    /// address: nobody trusted said who was before it.
    public static func find(
        peer: IPAddress, request: borrowing RequestHead, in input: UnsafeRawBufferPointer,
        trusted: UnsafeBufferPointer<IPNetwork>
    ) -> ClientIdentity {
        guard trusted.count > 0 else { return ClientIdentity(address: peer, isPeerTrusted: false) }
        guard unsafe isTrusted(peer, trusted) else {
            return ClientIdentity(address: peer.unmapped, isPeerTrusted: false)
        }
        var walk = ForwardedWalk(address: peer.unmapped)
        if request.fields.seen.contains(.xForwardedFor) {
            unsafe walk.follow(.xForwardedFor, of: request, in: input, trusted)
        } else if request.fields.seen.contains(.forwarded) {
            unsafe walk.follow(.forwarded, of: request, in: input, trusted)
        }
        return ClientIdentity(address: walk.address, isPeerTrusted: true)
    }

    /// True when one of the networks has the address.
    fileprivate static func isTrusted(
        _ address: IPAddress, _ trusted: UnsafeBufferPointer<IPNetwork>
    ) -> Bool {
        var index = 0
        while index < trusted.count {
            if unsafe trusted[index].contains(address) { return true }
            index &+= 1
        }
        return false
    }
}

/// One walk from the peer towards the client.
private struct ForwardedWalk {
    /// Where the walk has come to.
    var address: IPAddress
    private var elementCount = 0

    init(address: IPAddress) {
        self.address = address
    }

    /// Follows the lines of one field, the last line first.
    mutating func follow(
        _ field: KnownField, of request: borrowing RequestHead, in input: UnsafeRawBufferPointer,
        _ trusted: UnsafeBufferPointer<IPNetwork>
    ) {
        var index = request.fields.count
        while index > 0 {
            index &-= 1
            let slot = request.fields.slot(index)
            guard slot.field == field else { continue }
            let line = unsafe slot.value.bytes(in: input)
            guard unsafe follow(line, isForwarded: field == .forwarded, trusted) else { return }
        }
    }

    /// Follows the elements of one line, the last one first; false when the walk has ended.
    private mutating func follow(
        _ line: UnsafeRawBufferPointer, isForwarded: Bool,
        _ trusted: UnsafeBufferPointer<IPNetwork>
    ) -> Bool {
        var end = line.count
        while end >= 0 {
            guard let start = unsafe ForwardedElement.start(in: line, endingAt: end) else {
                return false
            }
            elementCount &+= 1
            guard elementCount <= ClientIdentity.elementCountMax else { return false }
            let element = unsafe ForwardedElement.trimmed(line, from: start, to: end)
            end = start &- 1
            // RFC 9110 §5.6.1: empty elements of a list do not count.
            if element.count == 0 { continue }
            let node = unsafe isForwarded ? ForwardedElement.node(element) : ForwardedNode(element)
            guard case .address(let found) = node else { return false }
            address = found
            guard unsafe ClientIdentity.isTrusted(found, trusted) else { return false }
        }
        return true
    }
}

/// Elements of a forwarding field.
private enum ForwardedElement {
    /// Where the element that ends at `end` begins, or `nil` when a quoted string has no begin.
    ///
    /// Looks from right to left, so that nothing to the left of a trusted element can change what
    /// it says: an open quote there cannot swallow it.
    static func start(in line: UnsafeRawBufferPointer, endingAt end: Int) -> Int? {
        var at = end
        var isQuoted = false
        while at > 0 {
            let byte = unsafe line[at &- 1]
            if byte == ASCII.quote {
                if !isQuoted {
                    isQuoted = true
                } else if unsafe !isEscaped(line, at &- 1) {
                    isQuoted = false
                }
            } else if byte == ASCII.comma, !isQuoted {
                return at
            }
            at &-= 1
        }
        return isQuoted ? nil : 0
    }

    /// RFC 9110 §5.6.4: true when an odd number of backslashes stands before the byte.
    private static func isEscaped(_ line: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        var at = index
        while at > 0, unsafe line[at &- 1] == ASCII.backslash { at &-= 1 }
        return (index &- at) & 1 == 1
    }

    static func trimmed(
        _ line: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> UnsafeRawBufferPointer {
        var first = start
        var last = end
        while first < last, unsafe ASCII.isBlank(line[first]) { first &+= 1 }
        while last > first, unsafe ASCII.isBlank(line[last &- 1]) { last &-= 1 }
        return unsafe UnsafeRawBufferPointer(rebasing: line[first..<last])
    }

    /// RFC 7239 §4: the node of the one `for` among the pairs of an element.
    static func node(_ element: UnsafeRawBufferPointer) -> ForwardedNode {
        var found: UnsafeRawBufferPointer?
        var at = 0
        while at < element.count {
            let byte = unsafe element[at]
            if byte == ASCII.semicolon || ASCII.isBlank(byte) {
                at &+= 1
                continue
            }
            let nameStart = at
            while at < element.count, unsafe CharacterClass.isToken(element[at]) { at &+= 1 }
            let nameEnd = at
            guard nameEnd > nameStart, at < element.count, unsafe element[at] == ASCII.equals
            else { return .malformed }
            let valueStart = at &+ 1
            guard let valueEnd = unsafe valueEnd(element, from: valueStart) else {
                return .malformed
            }
            at = valueEnd
            while at < element.count, unsafe ASCII.isBlank(element[at]) { at &+= 1 }
            guard unsafe at == element.count || element[at] == ASCII.semicolon else {
                return .malformed
            }
            guard unsafe isFor(element, from: nameStart, to: nameEnd) else { continue }
            // RFC 7239 §4: each parameter at most once in an element.
            guard unsafe found == nil else { return .malformed }
            unsafe found = UnsafeRawBufferPointer(rebasing: element[valueStart..<valueEnd])
        }
        guard let node = unsafe found else { return .malformed }
        return unsafe ForwardedNode(node)
    }

    /// Where a value ends that is a quoted string or runs up to a blank or semicolon.
    private static func valueEnd(_ element: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var at = start
        guard at < element.count else { return nil }
        guard unsafe element[at] == ASCII.quote else {
            while at < element.count {
                let byte = unsafe element[at]
                if byte == ASCII.semicolon || ASCII.isBlank(byte) { break }
                guard byte != ASCII.quote else { return nil }
                at &+= 1
            }
            return at > start ? at : nil
        }
        at &+= 1
        while at < element.count {
            let byte = unsafe element[at]
            at &+= 1
            if byte == ASCII.quote { return at }
            if byte == ASCII.backslash { at &+= 1 }
        }
        return nil
    }

    private static func isFor(
        _ element: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> Bool {
        guard let base = element.baseAddress else { return false }
        let name = unsafe base.assumingMemoryBound(to: UInt8.self) + start
        return unsafe ByteScanner.matches(name, count: end &- start, "for")
    }
}
