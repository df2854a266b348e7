// SPDX-License-Identifier: Apache-2.0
//
// What a well-formed request head says.

import HTTPCore
import Testing

/// A head as a browser sends it, 388 bytes.
let browserHead = """
    GET /articles/2026/balancing?page=2&sort=new HTTP/1.1\r
    Host: www.example.org\r
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r
    Accept-Language: en-US,en;q=0.5\r
    Accept-Encoding: gzip, deflate, br\r
    Connection: keep-alive\r
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r
    \r

    """

@Test func browserHeadIsReadWhole() throws {
    let bench = RequestBench()
    let facts = try #require(bench.verdict(Array(browserHead.utf8)).facts)
    #expect(facts.method == "GET")
    #expect(facts.path == "/articles/2026/balancing")
    #expect(facts.query == "?page=2&sort=new")
    #expect(facts.host == "www.example.org")
    #expect(facts.framing == .none)
    #expect(facts.keepsAlive)
    #expect(facts.headByteCount == browserHead.utf8.count)
    #expect(facts.fields.count == 7)
    #expect(facts.fields[4] == Field(name: "Accept-Encoding", value: "gzip, deflate, br"))
}

@Test func upstreamHeadOfABrowserRequest() throws {
    let bench = RequestBench()
    let written = try #require(bench.rewrite(Array(browserHead.utf8)))
    #expect(
        String(decoding: written, as: UTF8.self) == """
            GET /articles/2026/balancing?page=2&sort=new HTTP/1.1\r
            Host: www.example.org\r
            User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r
            Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r
            Accept-Language: en-US,en;q=0.5\r
            Accept-Encoding: gzip, deflate, br\r
            Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r
            X-Forwarded-For: 192.0.2.7\r
            X-Forwarded-Proto: http\r
            X-Forwarded-Host: www.example.org\r
            \r

            """)
}
