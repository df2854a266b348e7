// SPDX-License-Identifier: Apache-2.0
//
// The few facts about an HTTP/1 head that a test server and a probe need. Lenient on purpose: what
// is measured decides what good framing is, not the instrument.

/// Start line and framing of one HTTP/1 message.
struct MessageHead: Equatable {
    /// Bytes a head may have.
    static let byteCountMax = 65_536
    /// A body length beyond this is malformed: 2^50 bytes.
    static let contentLengthMax: UInt64 = 1 << 50

    enum Reading: Equatable {
        case needsMore
        case malformed
        case head(MessageHead)
    }

    /// Bytes of the head, the empty line included.
    var byteCount = 0
    /// The first line without its line end.
    var startLine: [UInt8] = []
    /// The value of Content-Length.
    var contentLength: UInt64?
    /// Whether the body is chunked.
    var isChunked = false
    /// `Connection: close`.
    var asksToClose = false
    /// `Connection: keep-alive`.
    var asksToKeep = false
    /// `Expect: 100-continue`.
    var expectsContinue = false

    /// Reads a head from the start of `bytes`.
    static func read(_ bytes: [UInt8]) -> Reading {
        var head = MessageHead()
        var lineStart = 0
        var lineCount = 0
        while let lineEnd = bytes[lineStart...].firstIndex(of: 0x0A) {
            var contentEnd = lineEnd
            if contentEnd > lineStart, bytes[contentEnd - 1] == 0x0D { contentEnd -= 1 }
            let line = bytes[lineStart..<contentEnd]
            lineStart = lineEnd + 1
            if line.isEmpty {
                guard lineCount > 0 else { return .malformed }
                head.byteCount = lineStart
                return .head(head)
            }
            if lineCount == 0 {
                head.startLine = Array(line)
            } else if !head.take(field: line) {
                return .malformed
            }
            lineCount += 1
        }
        return bytes.count >= byteCountMax ? .malformed : .needsMore
    }

    /// The parts of the first line between spaces.
    var startLineParts: [ArraySlice<UInt8>] {
        startLine.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
    }

    /// The status code of a response, or `nil` when the line is not a status line.
    var statusCode: Int? {
        let parts = startLineParts
        guard parts.count >= 2, startLine.starts(with: "HTTP/1.".utf8), parts[1].count == 3,
            let code = Decimal.parse(parts[1])
        else { return nil }
        return Int(code)
    }

    /// Whether a response's connection stays open after the message (RFC 9112 §9.3).
    var responseKeepsConnection: Bool {
        if asksToClose { return false }
        return startLine.starts(with: "HTTP/1.1".utf8) || asksToKeep
    }

    private mutating func take(field line: ArraySlice<UInt8>) -> Bool {
        guard let colon = line.firstIndex(of: 0x3A) else { return false }
        let name = line[..<colon]
        let value = line[(colon + 1)...].trimmingBlanks
        if name.equalsIgnoringCase("content-length") {
            guard let length = Decimal.parse(value), length <= Self.contentLengthMax else {
                return false
            }
            contentLength = length
        } else if name.equalsIgnoringCase("transfer-encoding") {
            isChunked = value.equalsIgnoringCase("chunked")
        } else if name.equalsIgnoringCase("connection") {
            asksToClose = asksToClose || value.equalsIgnoringCase("close")
            asksToKeep = asksToKeep || value.equalsIgnoringCase("keep-alive")
        } else if name.equalsIgnoringCase("expect") {
            expectsContinue = value.equalsIgnoringCase("100-continue")
        }
        return true
    }
}

/// Decimal numbers as HTTP writes them: digits only.
enum Decimal {
    /// The number, or `nil` when there is none or it is longer than 18 digits.
    static func parse(_ digits: some Collection<UInt8>) -> UInt64? {
        guard (1...18).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + UInt64(digit - 0x30)
        }
        return value
    }
}

extension ArraySlice<UInt8> {
    /// The slice without spaces and tabs at both ends.
    var trimmingBlanks: ArraySlice<UInt8> {
        var slice = self
        while let first = slice.first, first == 0x20 || first == 0x09 { slice.removeFirst() }
        while let last = slice.last, last == 0x20 || last == 0x09 { slice.removeLast() }
        return slice
    }

    /// Compares with lower-case ASCII text.
    func equalsIgnoringCase(_ lowercase: StaticString) -> Bool {
        guard count == lowercase.utf8CodeUnitCount else { return false }
        return lowercase.withUTF8Buffer { expected in
            zip(self, expected).allSatisfy { byte, wanted in
                byte == wanted || ((0x41...0x5A).contains(byte) && byte | 0x20 == wanted)
            }
        }
    }
}
