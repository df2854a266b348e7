// SPDX-License-Identifier: Apache-2.0
//
// How the end of a message body is found (RFC 9112 §6.3).

/// What follows a head, as the head's own fields say.
public enum BodyFraming: Equatable, Sendable {
    /// No body.
    case none
    /// Exactly so many bytes; never more than `lengthMax`.
    case length(UInt64)
    /// Chunks up to the last one (RFC 9112 §7.1).
    case chunked
    /// All bytes until the connection closes; responses only.
    case untilClose

    /// The largest length accepted, so that sums of lengths and buffer sizes cannot overflow.
    public static let lengthMax = UInt64(Int64.max) / 2
}
