// SPDX-License-Identifier: Apache-2.0
//
// Paths through the policy as tests want them: texts in, texts or faults out; and a second, plain
// implementation of the same rules that shares no code with the first.

import HTTPCore

/// What a policy makes of a path.
enum PathResult: Equatable {
    case path(String)
    case refused(MessageFault)
}

/// A policy by its deviations from the default, as the tables write it.
func policy(_ text: String) -> PathPolicy {
    var policy = PathPolicy()
    for word in text.split(separator: " ") {
        switch word {
        case "reject-dots": policy.dotSegments = .reject
        case "keep-dots": policy.dotSegments = .keep
        case "reject-slashes": policy.encodedSlashes = .reject
        case "decode-slashes": policy.encodedSlashes = .decode
        case "merge": policy.mergesSlashes = true
        default: fatalError("no such policy: \(word)")
        }
    }
    return policy
}

/// Every policy there is.
let everyPathPolicy: [PathPolicy] = PathPolicy.DotSegments.allCases.flatMap { dots in
    PathPolicy.EncodedSlashes.allCases.flatMap { slashes in
        [false, true].map {
            PathPolicy(dotSegments: dots, encodedSlashes: slashes, mergesSlashes: $0)
        }
    }
}

/// The result of `writeCanonical`, with the path against the guard page.
func canonical(_ path: String, _ policy: PathPolicy, _ memory: GuardedBytes) -> PathResult {
    memory.with(latin1(path)) { bytes in
        let output = GuardedBytes(capacity: max(1, bytes.count))
        let room = [UInt8](repeating: 0xAA, count: bytes.count)
        return output.with(room) { place in
            // The guard page is behind the room that the input's length promises.
            let target = UnsafeMutableRawBufferPointer(mutating: place)
            switch policy.writeCanonical(bytes, into: target) {
            case .refused(let fault): return .refused(fault)
            case .written(let count):
                return .path(
                    String(
                        String.UnicodeScalarView(
                            place[..<count].map {
                                Unicode.Scalar($0)
                            })))
            }
        }
    }
}

/// The same rules over arrays of segments; knows faults only as `nil`.
func plainCanonical(_ path: String, _ policy: PathPolicy) -> String? {
    guard path.first == "/" else { return nil }
    var units: [String] = []
    var rest = Substring(path)
    while let character = rest.popFirst() {
        if character == "\\" { return nil }
        guard character == "%" else {
            units.append(String(character))
            continue
        }
        let digits = String(rest.prefix(2))
        guard digits.count == 2, digits.allSatisfy(\.isHexDigit),
            let value = UInt8(digits, radix: 16), value != 0
        else { return nil }
        rest = rest.dropFirst(2)
        let decoded = String(Unicode.Scalar(value))
        let isUnreserved =
            value < 0x80
            && (decoded.first?.isLetter == true || decoded.first?.isNumber == true
                || "-._~".contains(decoded))
        if decoded == "/" || decoded == "\\" {
            if policy.encodedSlashes == .reject { return nil }
            if policy.encodedSlashes == .decode {
                if decoded == "\\" { return nil }
                units.append("/")
                continue
            }
        }
        units.append(isUnreserved ? decoded : "%" + digits.uppercased())
    }
    var segments = units.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        .map { $0.joined() }
    if policy.mergesSlashes, let last = segments.last {
        segments = segments.dropLast().filter { !$0.isEmpty } + [last]
    }
    return resolved(segments, policy).map { "/" + $0.joined(separator: "/") }
}

private func resolved(_ segments: [String], _ policy: PathPolicy) -> [String]? {
    var result: [String] = []
    for (index, segment) in segments.enumerated() {
        let parts = segment.replacing("%5C", with: "%2F").replacing("%3B", with: ";")
            .split(separator: "%2F", omittingEmptySubsequences: false)
        let dots = parts.filter { [".", ".."].contains($0.prefix { $0 != ";" }) }
        if dots.isEmpty {
            result.append(segment)
            continue
        }
        if parts.count > 1 { return nil }
        if policy.dotSegments == .keep {
            result.append(segment)
            continue
        }
        if policy.dotSegments == .reject || ![".", ".."].contains(segment) { return nil }
        if segment == ".." {
            if result.isEmpty { return nil }
            result.removeLast()
        }
        if index == segments.count - 1 { result.append("") }
    }
    return result
}
