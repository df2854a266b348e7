// SPDX-License-Identifier: Apache-2.0
//
// The protocol versions that are spoken.

/// A VRRP version: the first four bits of every message (RFC 9568 §5.2.1).
public enum AdvertisementVersion: UInt8, Hashable, Sendable, CaseIterable {
    /// RFC 3768: IPv4 only, whole seconds, eight bytes of unused authentication data.
    case version2 = 2
    /// RFC 9568; the default.
    case version3 = 3
}

/// Which bytes the checksum of a version 3 advertisement over IPv4 covers.
///
/// RFC 9568 §5.2.8 took the pseudo-header out; stock keepalived and FRR still send and demand it.
/// Version 2 never had one and IPv6 always has one: there this choice means nothing.
public enum ChecksumForm: String, Hashable, Sendable, CaseIterable {
    /// The VRRP message alone (RFC 9568 §5.2.8); the default.
    case rfc9568
    /// The VRRP message after an IPv4 pseudo-header (RFC 5798 §5.2.8).
    case rfc5798
}
