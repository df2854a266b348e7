// SPDX-License-Identifier: Apache-2.0
//
// The HTTP/1 reading of the instrument: framing at every split, wrong framing, bounds.

import Testing

@testable import DrillService

@Suite struct MessageHeadTests {
    private func parse(_ text: String) -> MessageHead? {
        guard case .head(let head) = MessageHead.read(Array(text.utf8)) else { return nil }
        return head
    }

    @Test func readsTheFramingFieldsWhateverTheirCase() throws {
        let head = try #require(
            parse("HTTP/1.1 200 OK\r\nCONTENT-Length: \t12 \r\nconnection: Close\r\n\r\nrest"))
        #expect(head.statusCode == 200)
        #expect(head.contentLength == 12)
        #expect(head.asksToClose)
        #expect(!head.responseKeepsConnection)
        #expect(head.byteCount == 60)
    }

    @Test func everyPrefixNeedsMore() {
        let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        for count in 0..<bytes.count {
            #expect(MessageHead.read(Array(bytes.prefix(count))) == .needsMore)
        }
        #expect(MessageHead.read(bytes) != .needsMore)
    }

    @Test(arguments: [
        "\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: \r\n\r\n",
    ])
    func refusesWrongHeads(_ text: String) {
        #expect(MessageHead.read(Array(text.utf8)) == .malformed)
    }

    @Test func headBeyondTheBoundIsMalformed() {
        let bytes = [UInt8](repeating: 0x61, count: MessageHead.byteCountMax)
        #expect(MessageHead.read(bytes) == .malformed)
        #expect(MessageHead.read(Array(bytes.dropLast())) == .needsMore)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.0 200 OK\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false),
    ])
    func connectionStaysOpenAsRFC9112Section93Says(_ text: String, _ keeps: Bool) throws {
        #expect(try #require(parse(text)).responseKeepsConnection == keeps)
    }
}

@Suite struct ResponseReaderTests {
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
    ]

    @Test(arguments: responses)
    func completesAtTheLastByteAtEverySplit(_ text: String, _ code: Int) {
        let bytes = Array(text.utf8)
        for split in 0..<bytes.count {
            var reader = ResponseReader()
            #expect(reader.take(bytes[..<split]) == .needsMore)
            #expect(
                reader.take(bytes[split...]) == .complete(statusCode: code, keepsConnection: true))
        }
    }

    @Test func bodyWithoutFramingEndsWithTheConnection() {
        var reader = ResponseReader()
        #expect(reader.take(Array("HTTP/1.1 200 OK\r\n\r\nabc".utf8)[...]) == .needsMore)
        #expect(reader.connectionEnded() == .complete(statusCode: 200, keepsConnection: true))
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ])
    func endOfTheConnectionRuinsAnIncompleteResponse(_ text: String) {
        var reader = ResponseReader()
        #expect(reader.take(Array(text.utf8)[...]) == .needsMore)
        #expect(reader.connectionEnded() == .malformed)
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1234567890abcdef\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
    ])
    func refusesWhatIsNoResponse(_ text: String) {
        var reader = ResponseReader()
        #expect(reader.take(Array(text.utf8)[...]) == .malformed)
    }

    @Test func endlessTrailerIsMalformed() {
        var reader = MessageBodyReader.chunked
        _ = reader.take(Array("0\r\n".utf8)[...])
        let filler = [UInt8](repeating: 0x61, count: MessageBodyReader.chunkOverheadMax)
        _ = reader.take(filler[...])
        #expect(!reader.isMalformed)
        _ = reader.take([0x61])
        #expect(reader.isMalformed)
    }

    @Test func manyChunksAreNotMistakenForOverhead() {
        var reader = MessageBodyReader.chunked
        for _ in 0..<50_000 { _ = reader.take(Array("1\r\nx\r\n".utf8)[...]) }
        #expect(!reader.isMalformed)
        _ = reader.take(Array("0\r\n\r\n".utf8)[...])
        #expect(reader.isComplete)
    }
}
