// SPDX-License-Identifier: Apache-2.0
//
// What a head costs, in nanoseconds; runs only when asked: TANDEM_BENCH=1 swift test -c release.

import Glibc
import HTTPCore
import Testing

private let isWanted = getenv("TANDEM_BENCH") != nil

/// The best of several rounds, which is what the code costs when nothing disturbs it.
private func report(_ name: String, _ work: () -> Void) {
    let loopCount = 100_000
    let clock = ContinuousClock()
    var best = Duration.seconds(1000)
    for _ in 0..<10 {
        best = min(best, clock.measure { for _ in 0..<loopCount { work() } })
    }
    print("\(name): \(best / loopCount)")
}

@Test(.enabled(if: isWanted))
func costOfOneHead() {
    let request = latin1(browserHead)
    let response = latin1(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\n"
            + "Content-Type: text/html; charset=utf-8\r\nContent-Length: 10240\r\n"
            + "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT\r\nConnection: keep-alive\r\n"
            + "ETag: \"65f0-2800\"\r\nAccept-Ranges: bytes\r\n\r\n")
    var output = [UInt8](repeating: 0, count: 4096)
    var requestHead = RequestHead()
    var responseHead = ResponseHead()
    request.withUnsafeBytes { bytes in
        report("parse a request of \(bytes.count) bytes") {
            var progress = HeadProgress()
            _ = requestHead.parse(bytes, progress: &progress)
        }
        report("bring its path into one form") {
            _ = requestHead.applyPathPolicy(PathPolicy(), in: bytes)
        }
        let rewrite = RequestRewrite(
            clientAddress: UnsafeRawBufferPointer(rebasing: bytes[0..<9]), scheme: .http,
            fallbackHost: bytes)
        output.withUnsafeMutableBytes { output in
            report("write it anew") {
                _ = requestHead.writeUpstreamHead(from: bytes, rewrite: rewrite, into: output)
            }
        }
        var identified = rewrite
        identified.requestID = wire("0123456789abcdef0123456789abcdef")
        identified.traceparent = wire("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
        output.withUnsafeMutableBytes { output in
            report("write it anew with identifiers") {
                _ = requestHead.writeUpstreamHead(from: bytes, rewrite: identified, into: output)
            }
        }
        withEdits([.remove("Accept"), .set("X-Canary", "1"), .remove("X-Debug")]) { edits in
            var edited = identified
            edited.edits = edits
            output.withUnsafeMutableBytes { output in
                report("write it anew with identifiers and three edits") {
                    _ = requestHead.writeUpstreamHead(from: bytes, rewrite: edited, into: output)
                }
            }
        }
        #expect(requestHead.headByteCount == bytes.count)
    }
    response.withUnsafeBytes { bytes in
        report("parse a response of \(bytes.count) bytes") {
            var progress = HeadProgress()
            _ = responseHead.parse(bytes, answering: .get, progress: &progress)
        }
        let rewrite = ResponseRewrite(clientMinorVersion: 1, keepsAlive: true)
        output.withUnsafeMutableBytes { output in
            report("write it anew") {
                _ = responseHead.writeClientHead(from: bytes, rewrite: rewrite, into: output)
            }
        }
        withEdits([.remove("Server"), .set("X-A", "b"), .remove("X-B")], .response) { edits in
            var edited = rewrite
            edited.edits = edits
            output.withUnsafeMutableBytes { output in
                report("write it anew with three edits") {
                    _ = responseHead.writeClientHead(from: bytes, rewrite: edited, into: output)
                }
            }
        }
        #expect(responseHead.headByteCount == bytes.count)
    }
}
