// SPDX-License-Identifier: Apache-2.0
//
// Addresses and ports as they are written in the file, with the reason when they are not.

import WireCore

/// Reads IPv4 addresses and endpoints.
enum AddressText {
    /// The IPv4 address that `text` says.
    static func ipv4(_ text: String) throws(ScalarProblem) -> IPv4Address {
        if let address = IPv4Address(text) { return address }
        if IPv6Address(text) != nil {
            throw ScalarProblem("this is an IPv6 address; an IPv4 address belongs here")
        }
        if Endpoint(text) != nil, let colon = text.lastIndex(of: ":") {
            throw .didYouMean("no port belongs here", String(text[..<colon]))
        }
        if let slash = text.firstIndex(of: "/"), IPv4Address(text[..<slash]) != nil {
            throw .didYouMean("no prefix length belongs here", String(text[..<slash]))
        }
        throw problem(inHost: text)
    }

    /// The IPv6 address that `text` says.
    static func ipv6(_ text: String) throws(ScalarProblem) -> IPv6Address {
        if let address = IPv6Address(text) { return address }
        if IPv4Address(text) != nil {
            throw ScalarProblem(
                "this is an IPv4 address", suggestion: "write for example \"fd00::11\"")
        }
        throw problem(inIPv6: text) ?? ScalarProblem("this is no IPv6 address")
    }

    /// The address of either family that `text` says.
    static func ip(_ text: String) throws(ScalarProblem) -> IPAddress {
        if let address = IPAddress(text) { return address }
        if let problem = problem(inIPv6: text) { throw problem }
        return .v4(try ipv4(text))
    }

    /// What is around an IPv6 address that does not belong there; `nil` when there is none.
    private static func problem(inIPv6 text: String) -> ScalarProblem? {
        if let percent = text.firstIndex(of: "%"), IPv6Address(text[..<percent]) != nil {
            return .didYouMean(
                "no zone belongs here, the key interface says it", String(text[..<percent]))
        }
        if let slash = text.firstIndex(of: "/"), IPv6Address(text[..<slash]) != nil {
            return .didYouMean("no prefix length belongs here", String(text[..<slash]))
        }
        if text.hasPrefix("["), text.hasSuffix("]"), IPv6Address(text.dropFirst().dropLast()) != nil
        {
            return .didYouMean("no brackets belong here", String(text.dropFirst().dropLast()))
        }
        if case .v6(let address) = Endpoint(text)?.address {
            return .didYouMean("no port belongs here", "\(address)")
        }
        if text.lowercased().hasPrefix("::ffff:"), let inner = IPv4Address(text.dropFirst(7)) {
            return .didYouMean("this is an IPv4 address in IPv6 form", "\(inner)")
        }
        if text.utf8.count(where: { $0 == 0x3A }) > 1 {
            return ScalarProblem(
                "this is no IPv6 address", suggestion: "write for example \"fd00::11\"")
        }
        return nil
    }

    /// The endpoint that `text` says; port 0 is refused.
    ///
    /// `assumed` is the address to suggest when it is missing.
    static func endpoint(
        _ text: String, assuming assumed: IPv4Address = .any
    ) throws(ScalarProblem) -> Endpoint {
        if let endpoint = Endpoint(text) {
            guard endpoint.port > 0 else { throw ScalarProblem("port 0 cannot be used") }
            return endpoint
        }
        guard let colon = text.lastIndex(of: ":") else {
            throw problem(withoutColon: text, assumed)
        }
        if IPv6Address(text) != nil {
            throw ScalarProblem(
                "the port is missing", suggestion: "write \"[\(text)]:PORT\" with the quotes")
        }
        let host = String(text[..<colon])
        let port = String(text[text.index(after: colon)...])
        try checkPort(port)
        if host.isEmpty { throw .didYouMean("the address is missing", "\(assumed):\(port)") }
        if host == "*" { throw .didYouMean("\"*\" is no address", "0.0.0.0:\(port)") }
        if host == "localhost" {
            throw .didYouMean("an address is needed here, not a name", "127.0.0.1:\(port)")
        }
        if IPv6Address(host) != nil {
            throw .didYouMean("an IPv6 address needs brackets", "[\(host)]:\(port)")
        }
        throw problem(inHost: host, tail: ":\(port)")
    }

    private static func problem(withoutColon text: String, _ assumed: IPv4Address) -> ScalarProblem
    {
        if IPv4Address(text) != nil {
            return ScalarProblem("the port is missing", suggestion: "write \(text):PORT")
        }
        if let port = UInt16(text), port > 0 {
            return .didYouMean("the address is missing", "\(assumed):\(text)")
        }
        return ScalarProblem(
            "an address and a port are needed", suggestion: "write for example 10.0.0.1:80")
    }

    /// Checks the port of an address.
    static func checkPort(_ port: String) throws(ScalarProblem) {
        guard !port.isEmpty else { throw ScalarProblem("the port after \":\" is missing") }
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ScalarProblem("\(Quoted.text(port)) is not a port number")
        }
        guard UInt16(port) != nil else {
            throw ScalarProblem("port \(port.prefix(20)) is outside 1 to 65535")
        }
    }

    private static func problem(inHost host: String, tail: String = "") -> ScalarProblem {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let isNumeric = host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
        guard isNumeric, !host.isEmpty else {
            return ScalarProblem("an address is needed here, not a name")
        }
        guard parts.count == 4 else {
            return ScalarProblem("an IPv4 address has four numbers, this has \(parts.count)")
        }
        if let part = parts.first(where: { $0.count > 1 && $0.first == "0" }) {
            let plain = parts.map { Int($0).map(String.init) ?? String($0) }
            let reason = "\(part) has a leading zero, which some programs read as octal"
            return .didYouMean(reason, plain.joined(separator: ".") + tail)
        }
        let bad = parts.first { Int($0).map { $0 > 255 } ?? true } ?? ""
        if bad.isEmpty { return ScalarProblem("a number between the dots is missing") }
        return ScalarProblem("\(bad.prefix(20)) is not a number from 0 to 255")
    }
}
