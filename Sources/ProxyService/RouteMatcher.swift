// SPDX-License-Identifier: Apache-2.0
//
// Which requests a route takes, as bytes to compare. A matcher owns nothing: its texts lie in the
// arena of its table.

internal import ConfigurationCore
internal import HTTPCore

/// The conditions of one route; all must hold.
struct RouteMatcher {
    private enum HostKind: UInt8 {
        case any
        case exact
        case suffix
    }

    private enum PathKind: UInt8 {
        case any
        case prefix
        case exact
    }

    private let hostKind: HostKind
    private let pathKind: PathKind
    /// There is something beside host and path.
    private let hasConditions: Bool
    /// Methods by their number, a bit each; 0 takes every method.
    private let knownMethods: UInt16
    /// A host in lower case, a suffix with its dot, or empty.
    let host: UnsafeRawBufferPointer
    /// In the one form of the listener's policy.
    let path: UnsafeRawBufferPointer
    private let otherMethods: UnsafeBufferPointer<UnsafeRawBufferPointer>
    private let fields: UnsafeBufferPointer<FieldCondition>
    private let parameters: UnsafeBufferPointer<QueryCondition>
    private let cookies: UnsafeBufferPointer<CookieCondition>

    init(_ match: RouteMatch, policy: PathPolicy, texts: inout TextArena) {
        if let pattern = match.host {
            let isWildcard = pattern.hasPrefix("*.")
            hostKind = isWildcard ? .suffix : .exact
            // `*.example.org` is everything that ends in `.example.org`.
            host = texts.keep(isWildcard ? String(pattern.dropFirst()) : pattern)
        } else {
            hostKind = .any
            host = texts.keep("")
        }
        switch match.path {
        case nil:
            pathKind = .any
            path = texts.keep("")
        case .prefix(let prefix):
            pathKind = .prefix
            path = texts.keep(Self.canonical(prefix, policy))
        case .exact(let exact):
            pathKind = .exact
            path = texts.keep(Self.canonical(exact, policy))
        }
        var bits: UInt16 = 0
        var others: [UnsafeRawBufferPointer] = []
        for name in match.methods {
            if let method = Self.knownMethod(name) {
                bits |= 1 << UInt16(method.rawValue)
            } else {
                others.append(texts.keep(name))
                bits |= 1 << UInt16(RequestMethod.other.rawValue)
            }
        }
        knownMethods = bits
        otherMethods = texts.keep(others)
        var fields: [FieldCondition] = []
        for condition in match.headers {
            fields.append(
                FieldCondition(
                    name: texts.keep(condition.name.lowercased()),
                    value: condition.value.map { texts.keep($0) }))
        }
        var parameters: [QueryCondition] = []
        for condition in match.query {
            parameters.append(
                QueryCondition(
                    name: texts.keep(condition.name),
                    value: condition.value.map { texts.keep($0) }))
        }
        var cookies: [CookieCondition] = []
        for condition in match.cookies {
            cookies.append(
                CookieCondition(
                    name: texts.keep(condition.name),
                    value: condition.value.map { texts.keep($0) }))
        }
        self.fields = texts.keep(fields)
        self.parameters = texts.keep(parameters)
        self.cookies = texts.keep(cookies)
        hasConditions = bits != 0 || !fields.isEmpty || !parameters.isEmpty || !cookies.isEmpty
    }

    /// What a path that matches begins with.
    var pathFilter: PathFilter {
        PathFilter(pathKind == .any ? UnsafeRawBufferPointer(start: nil, count: 0) : path)
    }

    /// Bytes of a matched path that `rewrite.path_prefix` replaces.
    var matchedByteCount: Int { path.count }

    /// True when a parsed head meets every condition.
    @inline(__always)
    func matches(_ request: borrowing RequestHead, in input: UnsafeRawBufferPointer) -> Bool {
        switch hostKind {
        case .any: break
        case .exact:
            guard host.count == request.host.count, request.hostEquals(host, in: input) else {
                return false
            }
        case .suffix:
            guard host.count < request.host.count, request.hostHasSuffix(host, in: input) else {
                return false
            }
        }
        switch pathKind {
        case .any: break
        case .prefix: guard request.pathHasSegmentPrefix(path, in: input) else { return false }
        case .exact: guard request.pathEquals(path, in: input) else { return false }
        }
        return !hasConditions || meetsConditions(request, in: input)
    }

    private func meetsConditions(
        _ request: borrowing RequestHead, in input: UnsafeRawBufferPointer
    ) -> Bool {
        if knownMethods != 0 {
            guard knownMethods & (1 &<< UInt16(request.method.rawValue)) != 0 else { return false }
            if request.method == .other, !isOtherMethod(request, in: input) { return false }
        }
        for index in 0..<fields.count {
            guard request.satisfies(fields[index], in: input) else { return false }
        }
        for index in 0..<cookies.count {
            guard request.satisfies(cookies[index], in: input) else { return false }
        }
        for index in 0..<parameters.count {
            guard request.satisfies(parameters[index], in: input) else { return false }
        }
        return true
    }

    private func isOtherMethod(
        _ request: borrowing RequestHead, in input: UnsafeRawBufferPointer
    ) -> Bool {
        for index in 0..<otherMethods.count
        where request.methodEquals(otherMethods[index], in: input) {
            return true
        }
        return false
    }

    /// A configured path in the form that paths of requests are compared in; one that the policy
    /// refuses can match nothing and stays as it is.
    private static func canonical(_ path: String, _ policy: PathPolicy) -> [UInt8] {
        let bytes = Array(path.utf8)
        var form = [UInt8](repeating: 0, count: bytes.count)
        let outcome = bytes.withUnsafeBytes { source in
            form.withUnsafeMutableBytes { policy.writeCanonical(source, into: $0) }
        }
        guard case .written(let byteCount) = outcome else { return bytes }
        return Array(form[..<byteCount])
    }

    /// RFC 9110 §9.1: methods are case-sensitive.
    private static func knownMethod(_ name: String) -> RequestMethod? {
        switch name {
        case "GET": .get
        case "HEAD": .head
        case "POST": .post
        case "PUT": .put
        case "DELETE": .delete
        case "OPTIONS": .options
        case "PATCH": .patch
        case "CONNECT": .connect
        case "TRACE": .trace
        default: nil
        }
    }
}

/// The first bytes that a path must have, as one word: most routes of a long table are passed by
/// without a look at them.
struct PathFilter {
    private let word: UInt64
    private let mask: UInt64

    /// A filter for paths that begin with `pattern`.
    init(_ pattern: UnsafeRawBufferPointer) {
        word = Self.start(of: pattern)
        mask = pattern.count >= 8 ? .max : 1 << UInt64(8 * pattern.count) - 1
    }

    /// The first eight bytes of a path, those that it does not have as zero.
    @inline(__always)
    static func start(of path: UnsafeRawBufferPointer) -> UInt64 {
        if path.count >= 8 {
            return UInt64(littleEndian: path.loadUnaligned(as: UInt64.self))
        }
        var word: UInt64 = 0
        for index in 0..<path.count { word |= UInt64(path[index]) &<< UInt64(8 &* index) }
        return word
    }

    @inline(__always)
    func passes(_ start: UInt64) -> Bool { (start ^ word) & mask == 0 }
}
