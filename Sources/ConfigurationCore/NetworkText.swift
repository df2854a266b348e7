// SPDX-License-Identifier: Apache-2.0
//
// Networks as they are written in the file, `10.0.0.0/8`, with the reason when they are not.

import WireCore

/// Reads networks in CIDR notation.
enum NetworkText {
    /// The network that `text` says; a plain address is a network of one.
    static func parse(_ text: String) throws(ScalarProblem) -> IPNetwork {
        if let network = IPNetwork(text) {
            try checkMapped(network)
            return network
        }
        guard let slash = text.firstIndex(of: "/") else { throw problem(withoutSlash: text) }
        let host = String(text[..<slash])
        let length = String(text[text.index(after: slash)...])
        guard let address = IPAddress(host) else { throw problem(inAddress: host, length) }
        guard let count = Int(length), length.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { throw problem(inLength: length, address) }
        guard count <= address.bitWidth else {
            let family = address.bitWidth == 32 ? "IPv4" : "IPv6"
            throw .didYouMean(
                "an \(family) address has \(address.bitWidth) bits", "\(host)/\(address.bitWidth)")
        }
        let network = address.masked(prefixLength: count)
        throw .didYouMean(
            "\(address.behind(prefixLength: count)) lies behind the prefix of \(count) bits",
            "\(network)/\(count)")
    }

    /// Clients of an IPv6 socket are compared by the IPv4 address inside theirs.
    private static func checkMapped(_ network: IPNetwork) throws(ScalarProblem) {
        guard network.prefixLength >= 96, network.address.unmapped != network.address else {
            return
        }
        throw .didYouMean(
            "IPv4 clients are known by their IPv4 address",
            "\(network.address.unmapped)/\(network.prefixLength - 96)")
    }

    private static func problem(withoutSlash text: String) -> ScalarProblem {
        if text == "*" || text == "all" || text == "any" {
            return ScalarProblem(
                "networks are written in numbers",
                suggestion: "every address is 0.0.0.0/0 and \"::/0\"")
        }
        if text == "localhost" { return .didYouMean("names are not resolved", "127.0.0.1/32") }
        if let network = networkWithStars(text) {
            return .didYouMean("\"*\" has no meaning in an address", network)
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        if parts.count == 2, parts.allSatisfy({ IPAddress($0) != nil }) {
            return ScalarProblem(
                "ranges are not supported", suggestion: "write networks such as 10.0.0.0/24")
        }
        if let endpoint = Endpoint(text) {
            return .didYouMean("no port belongs here", "\(endpoint.address)")
        }
        return ScalarProblem(
            "a network is an address, a slash and the number of leading bits that count",
            suggestion: "write for example 10.0.0.0/8")
    }

    private static func problem(inAddress host: String, _ length: String) -> ScalarProblem {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        if (1...3).contains(parts.count), parts.allSatisfy({ UInt8($0) != nil }) {
            let padded = parts.map(String.init) + Array(repeating: "0", count: 4 - parts.count)
            let text = "\(padded.joined(separator: "."))/\(length)"
            if IPNetwork(text) != nil {
                return .didYouMean("an IPv4 address has four numbers", text)
            }
        }
        if HeaderText.lowercased(host).hasPrefix("::ffff:"), let count = Int(length),
            let network = IPNetwork("\(host.dropFirst(7))/\(max(0, count - 96))")
        {
            return .didYouMean("IPv4 clients are known by their IPv4 address", "\(network)")
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            return .didYouMean(
                "no brackets belong here", "\(host.dropFirst().dropLast())/\(length)")
        }
        return ScalarProblem(
            "\(Quoted.text(host)) is no IP address", suggestion: "write for example 10.0.0.0/8")
    }

    private static func problem(inLength text: String, _ address: IPAddress) -> ScalarProblem {
        if text.isEmpty { return ScalarProblem("the number of bits after \"/\" is missing") }
        if case .v4 = address, let mask = IPv4Address(text) {
            let count = (~mask.rawValue).leadingZeroBitCount
            if mask.rawValue == UInt32.max << (32 - count) {
                return .didYouMean(
                    "a network mask is written as its number of bits",
                    "\(address.masked(prefixLength: count))/\(count)")
            }
        }
        return ScalarProblem("\(Quoted.text(text)) is not a number of bits")
    }

    /// `10.0.*.*` as a network.
    private static func networkWithStars(_ text: String) -> String? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (2...4).contains(parts.count), let star = parts.firstIndex(of: "*"),
            parts[star...].allSatisfy({ $0 == "*" }), star > 0,
            parts[..<star].allSatisfy({ UInt8($0) != nil })
        else { return nil }
        let padded = parts[..<star].map(String.init) + Array(repeating: "0", count: 4 - star)
        return "\(padded.joined(separator: "."))/\(star * 8)"
    }
}

extension IPAddress {
    /// The bits behind the prefix, as an address.
    fileprivate func behind(prefixLength: Int) -> IPAddress {
        switch (self, masked(prefixLength: prefixLength)) {
        case (.v4(let address), .v4(let network)):
            .v4(IPv4Address(rawValue: address.rawValue ^ network.rawValue))
        case (.v6(let address), .v6(let network)):
            .v6(IPv6Address(high: address.high ^ network.high, low: address.low ^ network.low))
        case (.v4, .v6), (.v6, .v4): self
        }
    }
}
