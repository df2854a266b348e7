// SPDX-License-Identifier: Apache-2.0
//
// HTTP in front of the pages: GET and HEAD, one request a connection.

internal import HTTPCore

/// The admin address's protocol: a small, closing HTTP/1.1.
enum PageProtocol {
    static func answer(_ request: [UInt8], registry: AdminRegistry) -> AdminAnswer {
        var head = RequestHead(limits: HeadLimits())
        var progress = HeadProgress()
        return request.withUnsafeBytes { bytes in
            switch head.parse(bytes, progress: &progress) {
            case .needMore:
                return .needMore
            case .malformed(let fault):
                return .reply(local(LocalResponse(fault)))
            case .complete:
                guard head.method == .get || head.method == .head else {
                    return .reply(local(.methodNotAllowed))
                }
                let path = String(decoding: head.path.bytes(in: bytes), as: UTF8.self)
                guard let page = registry.page(path) else { return .reply(local(.notFound)) }
                return .reply(response(page, withBody: head.method == .get))
            }
        }
    }

    private static func local(_ response: LocalResponse) -> [UInt8] {
        var answer = ComposedAnswer(response)
        answer.keepsAlive = false
        return [UInt8](unsafeUninitializedCapacity: answer.byteCountMax) { buffer, count in
            count = answer.write(answering: .get, into: UnsafeMutableRawBufferPointer(buffer)) ?? 0
        }
    }

    private static func response(_ page: AdminRegistry.Page, withBody: Bool) -> [UInt8] {
        let body = Array(page.content.utf8)
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: \(page.contentType)\r\n"
            + "Content-Length: \(body.count)\r\nCache-Control: no-store\r\n"
            + "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        return Array(head.utf8) + (withBody ? body : [])
    }
}
