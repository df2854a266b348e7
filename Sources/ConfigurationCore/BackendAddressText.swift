// SPDX-License-Identifier: Apache-2.0
//
// Where a backend is, as it is written in the file: an address, a name or a service.

import WireCore

/// Reads the addresses of backends.
enum BackendAddressText {
    private static let servicePrefix = "srv:"

    /// What `text` says.
    static func parse(_ text: String) throws(ScalarProblem) -> BackendAddress {
        if let endpoint = Endpoint(text) { return try checked(endpoint) }
        for scheme in ["http://", "https://", "tcp://", "udp://"]
        where text.lowercased().hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count).prefix { $0 != "/" }
            throw .didYouMean("no scheme belongs here", String(rest))
        }
        if text.lowercased().hasPrefix(servicePrefix) {
            let name = String(text.dropFirst(servicePrefix.utf8.count))
            if !text.hasPrefix(servicePrefix) {
                throw .didYouMean("it is written srv:NAME", "\(servicePrefix)\(name)")
            }
            return .service(name: try service(name))
        }
        if text.hasPrefix("_") {
            throw .didYouMean("a service's name follows srv:", "\(servicePrefix)\(text)")
        }
        // What looks like a number is a mistyped address and no name.
        guard let colon = text.lastIndex(of: ":"), isName(text[..<colon]) else {
            return try unreadable(text)
        }
        let port = String(text[text.index(after: colon)...])
        try AddressText.checkPort(port)
        guard let number = UInt16(port), number > 0 else {
            throw ScalarProblem("port 0 cannot be used")
        }
        return .host(
            name: try NameText.host(String(text[..<colon]), allowsWildcard: false), port: number)
    }

    private static func checked(_ endpoint: Endpoint) throws(ScalarProblem) -> BackendAddress {
        guard endpoint.port > 0 else { throw ScalarProblem("port 0 cannot be used") }
        if endpoint.address.isAny {
            throw ScalarProblem("\(endpoint.address) is no host's address")
        }
        if case .v4(let address) = endpoint.address, address.isMulticast {
            throw ScalarProblem("this is a multicast address")
        }
        return .endpoint(endpoint)
    }

    private static func isName(_ text: Substring) -> Bool {
        !text.contains(":") && text.utf8.contains { (0x41...0x5A).contains($0 & 0xDF) }
    }

    private static func unreadable(_ text: String) throws(ScalarProblem) -> BackendAddress {
        if isName(text[...]), let name = try? NameText.host(text, allowsWildcard: false) {
            throw ScalarProblem("the port is missing", suggestion: "write \(name):PORT")
        }
        return .endpoint(try AddressText.endpoint(text))
    }

    /// RFC 2782: `_service._proto.name`.
    private static func service(_ name: String) throws(ScalarProblem) -> String {
        if let colon = name.firstIndex(of: ":") {
            throw .didYouMean(
                "SRV records say the port", "\(servicePrefix)\(name[..<colon])")
        }
        return try NameText.host(name, allowsWildcard: false)
    }
}
