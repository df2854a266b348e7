// SPDX-License-Identifier: Apache-2.0
//
// Which headers a configuration may not edit, and what to write instead.

/// The headers that belong to the proxy itself.
enum HeaderEditRule {
    /// Which heads are edited.
    enum Direction: String, Sendable {
        case request
        case response

        /// The key.
        var keyName: String { "\(rawValue)_headers" }
    }

    /// RFC 9110 §7.6.1: these end at each hop and are written anew by the proxy.
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "te", "trailer", "upgrade", "http2-settings",
    ]

    /// RFC 9112 §6: they say where a message ends.
    private static let framing: Set<String> = ["content-length", "transfer-encoding"]

    /// Headers with one value; with two lines, clients take either or none.
    private static let single: Set<String> = [
        "access-control-allow-credentials", "access-control-allow-origin",
        "access-control-max-age", "age", "authorization", "content-disposition",
        "content-location", "content-type", "etag", "if-modified-since", "if-unmodified-since",
        "last-modified", "location", "max-forwards", "origin", "referer", "retry-after",
        "strict-transport-security", "user-agent", "x-content-type-options", "x-frame-options",
    ]

    /// True when a second line of the header `name` does harm.
    static func isSingle(_ name: String) -> Bool { single.contains(HeaderText.lowercased(name)) }

    /// Throws when the header `name` may not be edited.
    static func check(_ name: String, _ direction: Direction) throws(ScalarProblem) {
        let name = HeaderText.lowercased(name)
        if framing.contains(name) {
            throw ScalarProblem(
                "it says where a message ends", suggestion: "remove it; the proxy writes it")
        }
        if hopByHop.contains(name) || name.hasPrefix("proxy-") {
            throw ScalarProblem(
                "it speaks of one connection", suggestion: "remove it; the proxy writes it")
        }
        switch direction {
        case .request: try checkRequest(name)
        case .response where name == "date":
            throw ScalarProblem(
                "it says when the response was made", suggestion: "remove it; backends write it")
        case .response: break
        }
    }

    private static func checkRequest(_ name: String) throws(ScalarProblem) {
        switch name {
        case "host":
            throw ScalarProblem(
                "it says whose request this is",
                suggestion: "write rewrite: { host: NAME } in a route")
        case "expect":
            throw ScalarProblem(
                "client and proxy agree on it", suggestion: "remove it; the proxy answers it")
        case "forwarded":
            throw ScalarProblem(
                "the proxy owns it",
                suggestion: "write forwarded: true, and trusted_proxies for whom to believe")
        default:
            guard name.hasPrefix("x-forwarded-") else { return }
            throw ScalarProblem(
                "the proxy owns it", suggestion: "trusted_proxies says whose is believed")
        }
    }
}
