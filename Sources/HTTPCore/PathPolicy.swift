// SPDX-License-Identifier: Apache-2.0
//
// What an operator decides about request paths that could be read in two ways, and the one form
// that every path is brought into. Who asks for it: a request head, or a configured path once.

/// How paths are brought into one form before anyone looks at them.
///
/// Whatever is chosen, the form is a fixed point: applying the policy to it changes nothing.
/// Escapes of unreserved characters are always decoded and the others written in capitals
/// (RFC 3986 §6.2.2): `/%61%3a` is `/a%3A`. So `%2e` is a dot for each of the choices below.
public struct PathPolicy: Equatable, Sendable {
    /// What happens to `.` and `..` segments.
    ///
    /// A dot segment with parameters (`..;x`), which some servers take for one, is refused with
    /// `resolve` and `reject`.
    public enum DotSegments: UInt8, CaseIterable, Sendable {
        /// Resolved (RFC 3986 §5.2.4); above the root is refused.
        case resolve
        /// Refused.
        case reject
        /// Left as they are.
        case keep
    }

    /// What happens to `%2F` and `%5C`.
    public enum EncodedSlashes: UInt8, CaseIterable, Sendable {
        /// Left encoded and never a separator; refused where decoding would make a dot segment.
        case keep
        /// Refused.
        case reject
        /// `%2F` becomes a separator, before dot segments are looked at; `%5C` is refused.
        case decode
    }

    /// What happens to `.` and `..` segments.
    public var dotSegments: DotSegments
    /// What happens to `%2F` and `%5C`.
    public var encodedSlashes: EncodedSlashes
    /// Makes one slash of several, before dot segments are looked at.
    public var mergesSlashes: Bool

    /// Makes a policy; each setting has its default.
    public init(
        dotSegments: DotSegments = .resolve, encodedSlashes: EncodedSlashes = .keep,
        mergesSlashes: Bool = false
    ) {
        self.dotSegments = dotSegments
        self.encodedSlashes = encodedSlashes
        self.mergesSlashes = mergesSlashes
    }

    /// Writes the one form of `path`, which begins with `/` and has no query.
    ///
    /// For paths out of the configuration; a request head does the same with its own path. The
    /// form is never longer than `path`; `output` must have that much room.
    public func writeCanonical(
        _ path: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) -> CanonicalPathOutcome {
        guard let source = path.baseAddress, let target = output.baseAddress, path.count > 0,
            output.count >= path.count, unsafe path[0] == ASCII.slash
        else { return .refused(.invalidTarget) }
        var writer = unsafe CanonicalPathWriter(
            source.assumingMemoryBound(to: UInt8.self), count: path.count,
            into: target.assumingMemoryBound(to: UInt8.self), policy: self)
        do throws(MessageFault) {
            return .written(byteCount: try writer.run())
        } catch {
            return .refused(error)
        }
    }
}

/// What became of a path.
public enum CanonicalPathOutcome: Equatable, Sendable {
    /// The one form was written, so many bytes of it.
    case written(byteCount: Int)
    /// The policy or RFC 3986 §2.1 forbids it.
    case refused(MessageFault)
}
