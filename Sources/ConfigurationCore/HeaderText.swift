// SPDX-License-Identifier: Apache-2.0
//
// Names and values of headers, cookies, methods and media types as they are written in the file.

/// Reads what will stand in a request or response head.
enum HeaderText {
    /// The longest name or method; longer ones are refused by common servers.
    static let nameByteCountMax = 128
    /// The longest value; a whole head has at most 64 KiB.
    static let valueByteCountMax = 4_096

    /// The methods of RFC 9110 §9.3 and RFC 5789.
    static let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT",
    ]

    /// Checks a name: RFC 9110 §5.1 makes it a token.
    static func check(name: String) throws(ScalarProblem) {
        guard !name.isEmpty else { throw ScalarProblem("a name cannot be empty") }
        guard name.utf8.count <= nameByteCountMax else {
            throw ScalarProblem("a name has at most \(nameByteCountMax) bytes")
        }
        if name.utf8.allSatisfy(isToken) { return }
        let trimmed = name.split(separator: ":", omittingEmptySubsequences: true).first ?? ""
        if name.contains(":"), !trimmed.isEmpty, trimmed.utf8.allSatisfy(isToken) {
            throw .didYouMean("\":\" is no part of a name", String(trimmed))
        }
        if name.contains(" ") {
            let joined = name.split(separator: " ").joined(separator: "-")
            if joined.utf8.allSatisfy(isToken) {
                throw .didYouMean("a name has no spaces", joined)
            }
        }
        throw ScalarProblem("a name is made of letters, digits and !#$%&'*+-.^_`|~")
    }

    /// Checks a value: RFC 9110 §5.5, kept to US-ASCII as it asks of senders.
    static func check(value: String) throws(ScalarProblem) {
        guard value.utf8.count <= valueByteCountMax else {
            throw ScalarProblem("a value has at most \(valueByteCountMax) bytes")
        }
        if value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A }) {
            throw ScalarProblem(
                "a value has no line breaks", suggestion: "write it on one line, in quotes")
        }
        guard value.utf8.allSatisfy({ $0 == 0x09 || (0x20...0x7E).contains($0) }) else {
            throw ScalarProblem("a value is made of visible US-ASCII characters and spaces")
        }
        if let first = value.utf8.first, let last = value.utf8.last,
            [first, last].contains(where: { $0 == 0x20 || $0 == 0x09 })
        {
            throw ScalarProblem("spaces at the ends of a value are not sent")
        }
    }

    /// Checks a method: case-sensitive, RFC 9110 §9.1.
    static func check(method: String) throws(ScalarProblem) {
        let upper = method.uppercased()
        if method != upper, methods.contains(upper) {
            throw .didYouMean("upper and lower case differ", upper)
        }
        guard (1...nameByteCountMax).contains(method.utf8.count),
            method.utf8.allSatisfy(isToken)
        else { throw ScalarProblem("a method is made of letters, digits and !#$%&'*+-.^_`|~") }
        if method == "CONNECT" {
            throw ScalarProblem("CONNECT is always refused", suggestion: "remove it")
        }
    }

    /// Checks a media type: RFC 9110 §8.3.1.
    static func check(mediaType: String) throws(ScalarProblem) {
        try check(value: mediaType)
        let type = mediaType.prefix { $0 != ";" && $0 != " " }
        let parts = type.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(isToken) })
        else {
            let known = ["html", "plain", "css", "xml"].contains(mediaType)
            if known { throw .didYouMean("the type before \"/\" is missing", "text/\(mediaType)") }
            if mediaType == "json" {
                throw .didYouMean("the type before \"/\" is missing", "application/json")
            }
            throw ScalarProblem(
                "a media type has a type and a subtype", suggestion: "write for example text/html")
        }
    }

    /// The value of a cookie, which ends at a semicolon: RFC 6265 §4.1.1.
    static func check(cookieValue: String) throws(ScalarProblem) {
        try check(value: cookieValue)
        if cookieValue.utf8.count >= 2, cookieValue.hasPrefix("\""), cookieValue.hasSuffix("\"") {
            throw ScalarProblem(
                "quotes around a cookie's value do not count", suggestion: "write it without them")
        }
        if cookieValue.contains(";") { throw ScalarProblem("a cookie's value has no \";\"") }
    }

    /// The variable of another program's language in `text`, such as `$host`, `${HOST}`, `%[src]`.
    static func variable(in text: String) -> String? {
        let bytes = Array(text.utf8)
        for index in bytes.indices.dropLast() {
            let next = bytes[index + 1]
            let isLetter = (0x41...0x5A).contains(next & 0xDF) || next == 0x5F
            let isDollar = bytes[index] == 0x24 && (isLetter || next == 0x7B || next == 0x31)
            // `%[` of HAProxy, `%{` of Apache and HAProxy.
            guard isDollar || bytes[index] == 0x25 && (next == 0x5B || next == 0x7B) else {
                continue
            }
            var end = index + 2
            while end < min(bytes.count, index + 40), isInVariable(bytes[end]) { end += 1 }
            if end < bytes.count, bytes[end] == 0x5D || bytes[end] == 0x7D { end += 1 }
            return String(decoding: bytes[index..<end], as: UTF8.self)
        }
        return nil
    }

    private static func isInVariable(_ byte: UInt8) -> Bool {
        // Parentheses and commas stand in HAProxy's calls: `%[req.hdr(host)]`.
        isToken(byte) || [0x28, 0x29, 0x2C].contains(byte)
    }

    /// ASCII letters in lower case.
    static func lowercased(_ name: String) -> String {
        String(
            decoding: name.utf8.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
    }

    /// `tchar` of RFC 9110 §5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }
}
