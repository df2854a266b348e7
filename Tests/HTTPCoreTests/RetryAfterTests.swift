// SPDX-License-Identifier: Apache-2.0
//
// RFC 9110 §10.2.3: how long a backend asks not to be asked, as a number or as a date.

import HTTPCore
import Testing

struct RetryAfterTests {
    /// 1 January 2026.
    private static let now: UInt64 = 1_767_225_600

    private static func seconds(_ field: String) -> UInt32? {
        let text = "HTTP/1.1 503 Busy\r\nServer: x\r\n\(field)\r\nContent-Length: 0\r\n\r\n"
        var head = ResponseHead()
        var progress = HeadProgress()
        return Array(text.utf8).withUnsafeBytes { bytes in
            guard case .complete = head.parse(bytes, answering: .get, progress: &progress) else {
                return nil
            }
            return head.retryAfterSeconds(in: bytes, unixSeconds: now)
        }
    }

    @Test(
        arguments: [
            ("120", 120), ("0", 0), ("007", 7), ("99999999999999999999999", 86_400),
            ("Thu, 01 Jan 2026 00:01:00 GMT", 60), ("Thursday, 01-Jan-26 00:01:00 GMT", 60),
            ("Wed, 31 Dec 2025 23:59:59 GMT", 0), ("Sun, 01 Jan 2062 00:00:00 GMT", 86_400),
        ] as [(String, UInt32)])
    func isANumberOrADate(value: String, seconds: UInt32) {
        #expect(Self.seconds("Retry-After: \(value)") == seconds)
        #expect(Self.seconds("rETRY-aFTER:\(value) ") == seconds)
    }

    @Test(arguments: ["-1", "", "1.5", "soon", "1 2", "Thu, 01 Jan 2026 00:01:00"])
    func otherValuesAreNone(value: String) {
        #expect(Self.seconds("Retry-After: \(value)") == nil)
        #expect(Self.seconds("Retry-Afte: 1") == nil)
        #expect(Self.seconds("X-Retry-After: 1") == nil)
    }
}
