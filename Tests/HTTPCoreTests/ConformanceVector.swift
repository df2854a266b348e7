// SPDX-License-Identifier: Apache-2.0
//
// The vectors of Tests/Vectors/http1: what arrives, which sentence of an RFC it tests, and what has
// to become of it. The same files are sent through the whole data plane by Tests/Conformance.

import LinuxIO

/// One block of a vector file; README.md beside the files says what the lines mean.
struct ConformanceVector: CustomStringConvertible, Sendable {
    /// What must happen.
    enum Verdict: Equatable, Sendable {
        /// The status towards the client.
        case reject(UInt16)
        case accept
        /// More bytes have to come; when none do, nothing was a whole message.
        case wait
        /// A response that broke after its head: the client must notice.
        case abort
    }

    /// A message that the backend must see.
    struct Seen: Equatable, Sendable {
        var method = ""
        var target = ""
        var body: [UInt8] = []
    }

    let name: String
    private(set) var verdict = Verdict.accept
    private(set) var bytes: [UInt8] = []
    private(set) var seen: [Seen] = []
    /// All other lines, in order.
    private(set) var notes: [(key: String, value: String)] = []

    var description: String { name }

    /// The values of the lines with a key.
    func values(_ key: String) -> [String] { notes.filter { $0.key == key }.map(\.value) }

    init(block: [Substring]) throws(VectorError) {
        guard let title = block.first, title.first == "[", title.last == "]" else {
            throw VectorError(text: "no title: \(block)")
        }
        name = String(title.dropFirst().dropLast())
        for line in block.dropFirst() {
            let cut = line.firstIndex(of: " ") ?? line.endIndex
            try take(key: String(line[..<cut]), value: String(line[cut...].dropFirst()))
        }
        guard !values("rule").isEmpty else { throw VectorError(text: "\(name): no rule") }
    }

    private mutating func take(key: String, value: String) throws(VectorError) {
        if key.hasPrefix("send") {
            let count = Int(key.dropFirst(5)) ?? 1
            let part = try Self.unescaped(value)
            for _ in 0..<count { bytes += part }
            return
        }
        switch key {
        case "verdict":
            let words = value.split(separator: " ")
            switch words.dropFirst().first {
            case "reject": verdict = .reject(UInt16(words[2]) ?? 0)
            case "accept": verdict = .accept
            case "wait": verdict = .wait
            case "abort": verdict = .abort
            default: throw VectorError(text: "\(name): verdict \(value)")
            }
        case "sees":
            let words = value.split(separator: " ", maxSplits: 2)
            guard words.count >= 2 else { throw VectorError(text: "\(name): sees \(value)") }
            let body = words.count == 3 ? try Self.unescaped(String(words[2])) : []
            seen.append(Seen(method: String(words[0]), target: String(words[1]), body: body))
        default:
            notes.append((key, value))
        }
    }

    /// Text with `\r \n \t \\ \xHH` and `\{byte*count}`, as bytes.
    static func unescaped(_ text: String) throws(VectorError) -> [UInt8] {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x5C else {
                result.append(byte)
                continue
            }
            switch rest.popFirst() {
            case 0x72: result.append(0x0D)
            case 0x6E: result.append(0x0A)
            case 0x74: result.append(0x09)
            case 0x5C: result.append(0x5C)
            case 0x78:
                let digits = String(decoding: rest.prefix(2), as: UTF8.self)
                guard let value = UInt8(digits, radix: 16) else { throw VectorError(text: text) }
                rest = rest.dropFirst(2)
                result.append(value)
            case 0x7B:
                guard let end = rest.firstIndex(of: 0x7D),
                    let star = rest[..<end].lastIndex(of: 0x2A),
                    let count = Int(String(decoding: rest[(star + 1)..<end], as: UTF8.self))
                else { throw VectorError(text: text) }
                let part = try unescaped(String(decoding: rest[..<star], as: UTF8.self))
                for _ in 0..<count { result += part }
                rest = rest[(end + 1)...]
            default:
                throw VectorError(text: text)
            }
        }
        return result
    }
}

/// A vector file that does not follow its own rules.
struct VectorError: Error {
    let text: String
}

/// The vectors of one direction.
struct ConformanceVectors {
    static let requests = load([
        "request-line", "target", "host", "fields", "content-length", "transfer-encoding",
        "chunked", "connection",
    ])
    static let responses = load(["responses"])

    private static func load(_ families: [String]) -> [ConformanceVector] {
        families.flatMap { family -> [ConformanceVector] in
            // A file that cannot be read gives no vectors, and the test of their number fails.
            (try? read("\(folder)/\(family).txt")) ?? []
        }
    }

    private static func read(_ path: String) throws -> [ConformanceVector] {
        let bytes = try FileSystem.read(path: path, byteCountMax: 1 << 20)
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let blocks = lines.split(whereSeparator: \.isEmpty)
        return try blocks.filter { $0.first?.first == "[" }.map {
            try ConformanceVector(block: Array($0))
        }
    }

    private static var folder: String {
        #filePath.split(separator: "/").dropLast(2).reduce(into: "") { $0 += "/\($1)" }
            + "/Vectors/http1"
    }
}
