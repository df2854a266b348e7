// SPDX-License-Identifier: Apache-2.0
//
// Names, host names and paths as they are written in the file, with the reason when they are not.

/// Reads names of entries, hosts, interfaces and paths.
enum NameText {
    /// The longest name of a node, listener, pool or backend; names become labels of metrics.
    static let nameByteCountMax = 64
    /// RFC 1035 section 2.3.4: a label has at most 63 octets, a name 253 in text form.
    static let labelByteCountMax = 63
    /// See `labelByteCountMax`.
    static let hostByteCountMax = 253
    /// The longest path prefix; request heads are limited to 64 KiB.
    static let urlPathByteCountMax = 1_024
    /// IFNAMSIZ of linux/if.h is 16 with the closing zero.
    static let interfaceByteCountMax = 15

    /// Checks the name of a node, listener, pool or backend.
    static func check(name: String) throws(ScalarProblem) {
        guard !name.isEmpty else { throw ScalarProblem("a name cannot be empty") }
        guard name.utf8.count <= nameByteCountMax else {
            throw ScalarProblem("a name has at most \(nameByteCountMax) bytes")
        }
        let allowed = name.utf8.allSatisfy {
            isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E
        }
        guard allowed else { throw ScalarProblem("names are made of letters, digits, \"-_.\"") }
    }

    /// The host name that `text` says, in lower case; `allowsWildcard` permits `*.` in front.
    static func host(_ text: String, allowsWildcard: Bool) throws(ScalarProblem) -> String {
        if let scheme = ["http://", "https://"].first(where: text.hasPrefix) {
            throw .didYouMean("write the name alone", String(text.dropFirst(scheme.count)))
        }
        if let slash = text.firstIndex(of: "/") {
            throw .didYouMean("a path belongs under path_prefix", String(text[..<slash]))
        }
        if let colon = text.firstIndex(of: ":") {
            throw .didYouMean("no port belongs here", String(text[..<colon]))
        }
        let lowered = text.lowercased()
        let isWildcard = lowered.hasPrefix("*.")
        if isWildcard, !allowsWildcard { throw ScalarProblem("\"*\" cannot be sent") }
        let name = isWildcard ? String(lowered.dropFirst(2)) : lowered
        guard (1...hostByteCountMax).contains(name.utf8.count) else {
            throw ScalarProblem("a host name has 1 to \(hostByteCountMax) bytes")
        }
        for label in name.split(separator: ".", omittingEmptySubsequences: false) {
            try check(label: String(label))
        }
        return lowered
    }

    private static func check(label: String) throws(ScalarProblem) {
        guard !label.isEmpty else { throw ScalarProblem("a part between the dots is empty") }
        guard label.utf8.count <= labelByteCountMax else {
            throw ScalarProblem("a part has at most \(labelByteCountMax) bytes")
        }
        if label.contains("*") {
            throw ScalarProblem("\"*\" stands only in front, as in \"*.example.org\"")
        }
        let allowed = label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x5F }
        guard allowed else {
            throw ScalarProblem("host names are made of letters, digits, \"-\" and \".\"")
        }
    }

    /// Checks a path or the beginning of one.
    static func check(urlPath: String) throws(ScalarProblem) {
        guard urlPath.hasPrefix("/") else {
            throw .didYouMean("a path begins with /", "/\(urlPath)")
        }
        guard urlPath.utf8.count <= urlPathByteCountMax else {
            throw ScalarProblem("a path has at most \(urlPathByteCountMax) bytes")
        }
        if urlPath.contains("?") || urlPath.contains("#") {
            throw ScalarProblem("only the path counts, not what follows \"?\" or \"#\"")
        }
        if urlPath.contains("*") {
            throw ScalarProblem("\"*\" has no meaning here; a prefix already takes what follows")
        }
        guard urlPath.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ScalarProblem("a path has no spaces; other characters are written as %XX")
        }
        // RFC 3986 §3.3 has none of these; some servers read a backslash as a slash.
        if let bad = urlPath.first(where: { "\"<>\\".contains($0) }) {
            let code = String(bad.asciiValue ?? 0, radix: 16, uppercase: true)
            throw ScalarProblem(
                "\(bad) cannot stand in a path", suggestion: "write %\(code) for it")
        }
        try check(escapesOf: Array(urlPath.utf8))
    }

    /// RFC 3986 §2.1: a percent sign and two hexadecimal digits; NUL ends paths in some servers.
    private static func check(escapesOf path: [UInt8]) throws(ScalarProblem) {
        for index in path.indices where path[index] == 0x25 {
            let digits = path[(index + 1)...].prefix(2)
            let isValid = digits.count == 2 && digits.allSatisfy(isHexadecimalDigit)
            guard isValid else {
                throw ScalarProblem(
                    "\"%\" begins an escape of two digits", suggestion: "write %25 for \"%\"")
            }
            guard !digits.allSatisfy({ $0 == 0x30 }) else {
                throw ScalarProblem("a path cannot have %00")
            }
        }
    }

    /// True for `0-9`, `a-f` and `A-F`.
    static func isHexadecimalDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }

    /// Checks the path of a file.
    static func check(filePath: String, byteCountMax: Int) throws(ScalarProblem) {
        guard !filePath.isEmpty else { throw ScalarProblem("the path is empty") }
        guard filePath.utf8.count <= byteCountMax else {
            throw ScalarProblem("the path has more than \(byteCountMax) bytes")
        }
        guard filePath.hasPrefix("/") else {
            throw ScalarProblem("the path must be absolute", suggestion: "begin with /")
        }
        guard filePath.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw ScalarProblem("the path has control characters")
        }
    }

    /// Checks the name of a network interface.
    static func check(interface: String) throws(ScalarProblem) {
        guard (1...interfaceByteCountMax).contains(interface.utf8.count) else {
            throw ScalarProblem("an interface name has 1 to \(interfaceByteCountMax) bytes")
        }
        let allowed = interface.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x2F }
        guard allowed, interface != ".", interface != ".." else {
            throw ScalarProblem("an interface name has no spaces and no \"/\"")
        }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}
