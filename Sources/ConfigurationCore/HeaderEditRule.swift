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

    /// Edits of one direction that act on one message, those of listener and route together.
    static let countMax = 256
    /// Bytes that `set` and `add` write into one message.
    static let lineByteCountMax = 32 << 10

    /// How much edits put into one message: `name: value CRLF` for each line.
    static func lineByteCount(_ edits: HeaderEdits) -> Int {
        (edits.set + edits.add).reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
    }

    /// How many edits there are.
    static func count(_ edits: HeaderEdits) -> Int {
        edits.remove.count + edits.set.count + edits.add.count
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

    /// Throws when the header `written` may not be edited.
    static func check(_ written: String, _ direction: Direction) throws(ScalarProblem) {
        let name = HeaderText.lowercased(written)
        if framing.contains(name) {
            throw ScalarProblem(
                "it says where a message ends", suggestion: "remove it; the proxy writes it")
        }
        if hopByHop.contains(name) || name.hasPrefix("proxy-") {
            throw ScalarProblem(
                "it speaks of one connection", suggestion: "remove it; the proxy writes it")
        }
        if name == "proxy" {
            // CGI programs take it for the address of a proxy.
            throw ScalarProblem(
                "it is taken out of every request", suggestion: "remove it; the proxy sees to it")
        }
        switch direction {
        case .request: try checkRequest(name, written)
        case .response where name == "host" || name == "expect":
            throw ScalarProblem("it belongs to requests", suggestion: "remove it")
        case .response where name == "date":
            throw ScalarProblem(
                "it says when the response was made", suggestion: "remove it; backends write it")
        case .response: break
        }
    }

    /// Throws when a probe may not send the header `written`.
    static func check(probe written: String) throws(ScalarProblem) {
        let name = HeaderText.lowercased(written)
        if name == "host" {
            throw ScalarProblem("it has its own key", suggestion: "write host: NAME beside headers")
        }
        if framing.contains(name) || hopByHop.contains(name) || name == "expect" {
            throw ScalarProblem("the probe writes it itself", suggestion: "remove it")
        }
    }

    private static func checkRequest(
        _ name: String, _ written: String
    ) throws(ScalarProblem) {
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
            if name.hasPrefix("x-forwarded-") {
                throw ScalarProblem(
                    "the proxy owns it", suggestion: "trusted_proxies says whose is believed")
            }
            if name.contains("_") {
                // CGI has no other sign for both: Content_Length would be read as Content-Length.
                let plain = written.split(separator: "_").joined(separator: "-")
                throw .didYouMean("servers read \"_\" as \"-\"", plain)
            }
        }
    }
}
