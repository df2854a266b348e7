// SPDX-License-Identifier: Apache-2.0
//
// Random messages that are nearly right: valid and invalid vectors, cut, joined and sprinkled with
// the bytes and lines that parsers are attacked with.

import WireCore

/// Makes mutated messages from a corpus.
struct MessageMutator {
    let corpus: [[UInt8]]
    /// Pieces that have a meaning for the parser under test.
    let tokens: [[UInt8]]
    var random: SeededGenerator

    init(corpus: [[UInt8]], tokens: [String], random: SeededGenerator) {
        self.corpus = corpus
        self.tokens = tokens.map(latin1)
        self.random = random
    }

    /// The next message; a tenth of them are vectors as they are.
    mutating func next() -> [UInt8] {
        var message = pick(corpus)
        if below(10) == 0 { return message }
        for _ in 0..<(1 + below(4)) { mutate(&message) }
        return message
    }

    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

    private mutating func pick(_ choices: [[UInt8]]) -> [UInt8] { choices[below(choices.count)] }

    private mutating func mutate(_ message: inout [UInt8]) {
        let at = below(message.count + 1)
        switch below(8) {
        case 0: message.insert(contentsOf: pick(tokens), at: at)
        case 1: message.insert(UInt8.random(in: 0...255, using: &random), at: at)
        case 2 where at < message.count: message[at] = UInt8.random(in: 0...255, using: &random)
        case 3 where at < message.count: message[at] ^= 1 << UInt8(below(8))
        case 4: message.removeSubrange(at..<min(message.count, at + 1 + below(4)))
        case 5: insertLine(&message)
        case 6: duplicate(&message, from: at)
        default: message = message[..<at] + pick(corpus).suffix(below(80))
        }
    }

    private mutating func insertLine(_ message: inout [UInt8]) {
        let ends = message.indices.filter { message[$0] == 0x0A }
        guard !ends.isEmpty else { return }
        message.insert(contentsOf: pick(tokens), at: ends[below(ends.count)] + 1)
    }

    private mutating func duplicate(_ message: inout [UInt8], from start: Int) {
        let end = min(message.count, start + 1 + below(40))
        guard start < end else { return }
        message.insert(contentsOf: message[start..<end], at: end)
    }
}

/// What is inserted into heads.
let headTokens = [
    "\r", "\n", "\r\n", "\r\n\r\n", "\0", " ", "\t", ":", ",", ";", "\"", "/", "//", "..", "%2e",
    "%2F", "%", "?", "#", "\\", "@", "[", "]", "_", "0", "9", "\u{0B}", "\u{7F}", "\u{80}",
    "\u{FF}", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "GET ", "OPTIONS ", "http://b.example",
    "Content-Length: 5\r\n", "Content-Length: 0\r\n", "Content-Length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding : chunked\r\n", "Host: c.example\r\n", "Connection: close\r\n",
    "Connection: keep-alive, x-a\r\n", "X-A: b\r\n", " folded\r\n", "Expect: 100-continue\r\n",
    "Upgrade: websocket\r\nConnection: upgrade\r\n", "TE: trailers\r\n", "X-Forwarded-For: 1\r\n",
    "Proxy: p\r\n", "Content_Length: 5\r\n",
]

/// What is inserted into chunked bodies.
let chunkTokens = [
    "\r", "\n", "\r\n", "0\r\n\r\n", "1\r\nx\r\n", "5\r\n", "a;b=c\r\n", "0x", "-", "+", " ", "\t",
    ";", ":", "ffffffffffffffff", "00000000", "\0", "A: b\r\n", "_", "\u{FF}", "G",
]
