// SPDX-License-Identifier: Apache-2.0
//
// What the instrument takes for a response: complete at the last byte however it arrives, lenient
// with what any HTTP/1.1 server may send, strict with what two readers could read in two ways.

import HTTPCore
import Testing

@testable import DrillService

@Suite struct ResponseReaderTests {
    /// Gives a new reader the pieces one after the other; the last progress.
    private func read(_ pieces: [some Collection<UInt8>]) -> ResponseReader.Progress {
        var reader = ResponseReader()
        var head = ResponseHead()
        var progress = ResponseReader.Progress.needsMore
        for piece in pieces { progress = reader.take(Array(piece), parser: &head) }
        return progress
    }

    private func read(_ text: String) -> ResponseReader.Progress {
        read([Array(text.utf8)])
    }

    static let responses: [(String, Int)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200),
        (
            "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "a;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n", 503
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200
        ),
        // As other balancers write them: names in lower case, no space after the colon, no reason.
        ("HTTP/1.1 200 \r\ncontent-length:2\r\nx-empty:\r\nvia: 1.1 lb\r\n\r\nok", 200),
        ("HTTP/1.1 503\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n", 503),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n", 304),
        ("HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\n\r\n2\r\nok\r\n00\r\n\r\n", 200),
    ]

    @Test(arguments: responses)
    func completesAtTheLastByteAtEverySplit(_ text: String, _ code: Int) {
        let bytes = Array(text.utf8)
        for split in 1..<bytes.count {
            #expect(read([bytes[..<split]]) == .needsMore)
            #expect(
                read([bytes[..<split], bytes[split...]])
                    == .complete(statusCode: code, keepsConnection: true))
        }
    }

    @Test(arguments: responses)
    func completesWhenEveryByteComesAlone(_ text: String, _ code: Int) {
        #expect(
            read(Array(text.utf8).map { [$0] })
                == .complete(statusCode: code, keepsConnection: true))
    }

    @Test func readersThatShareAParserDoNotDisturbEachOther() {
        var head = ResponseHead()
        var first = ResponseReader()
        var second = ResponseReader()
        let half = Array("HTTP/1.1 200 OK\r\nContent-Le".utf8)
        let other = Array("HTTP/1.0 404 Not Found\r\nContent-Length: 1\r\n\r\nx".utf8)
        #expect(first.take(half, parser: &head) == .needsMore)
        #expect(
            second.take(other, parser: &head) == .complete(statusCode: 404, keepsConnection: false))
        #expect(
            first.take(Array("ngth: 0\r\n\r\n".utf8), parser: &head)
                == .complete(statusCode: 200, keepsConnection: true))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nconnection: Close\r\n\r\n", false),
    ])
    func connectionStaysOpenAsRFC9112Section93Says(_ text: String, _ keeps: Bool) {
        #expect(read(text) == .complete(statusCode: 200, keepsConnection: keeps))
    }

    @Test func bodyWithoutFramingEndsWithTheConnection() {
        var reader = ResponseReader()
        var head = ResponseHead()
        let bytes = Array("HTTP/1.1 200 OK\r\n\r\nabc".utf8)
        #expect(reader.take(bytes, parser: &head) == .needsMore)
        #expect(reader.connectionEnded() == .complete(statusCode: 200, keepsConnection: false))
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ])
    func endOfTheConnectionRuinsAnIncompleteResponse(_ text: String) {
        var reader = ResponseReader()
        var head = ResponseHead()
        #expect(reader.take(Array(text.utf8), parser: &head) == .needsMore)
        #expect(reader.connectionEnded() == .malformed)
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1234567890abcdef0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
    ])
    func refusesWhatIsNoResponse(_ text: String) {
        #expect(read(text) == .malformed)
    }

    @Test func headBeyondTheBoundIsMalformed() {
        let start = Array("HTTP/1.1 200 OK\r\nA: ".utf8)
        let filler = [UInt8](
            repeating: 0x61, count: HeadLimits().headByteCountMax - start.count - 1)
        #expect(read([start, filler]) == .needsMore)
        #expect(read([start, filler, [0x61]]) == .malformed)
    }
}
