// SPDX-License-Identifier: Apache-2.0
//
// What the test backend answers to which path. Pure: a request in, a plan of the response out.

internal import WireCore

/// The bytes of a response body, made piece by piece.
enum BackendBody: Equatable {
    /// These bytes, with Content-Length.
    case bytes([UInt8])
    /// So many filler bytes with Content-Length.
    case filler(count: UInt64)
    /// So many filler bytes, chunked.
    case chunkedFiller(count: UInt64)
}

/// One response as the backend will send it.
struct BackendResponse: Equatable {
    var statusCode = 200
    var body = BackendBody.bytes([])
    /// How long to wait before the first byte.
    var delay = TimeSpan.zero
    var closesConnection = false

    /// The status line and fields.
    func head(name: String) -> [UInt8] {
        var text = "HTTP/1.1 \(statusCode) \(Self.reason(statusCode))\r\nServer: \(name)\r\n"
        text += "Content-Type: text/plain\r\n"
        switch body {
        case .bytes(let bytes): text += "Content-Length: \(bytes.count)\r\n"
        case .filler(let count): text += "Content-Length: \(count)\r\n"
        case .chunkedFiller: text += "Transfer-Encoding: chunked\r\n"
        }
        if closesConnection { text += "Connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }

    private static func reason(_ statusCode: Int) -> String {
        switch statusCode {
        case 200: "OK"
        case 400: "Bad Request"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 413: "Content Too Large"
        case 503: "Service Unavailable"
        default: "Test"
        }
    }
}

/// What the backend is told to be: its name and whether it claims to be healthy.
struct BackendState: Equatable {
    var name: String
    var isHealthy = true
}

/// The backend's paths.
enum BackendRoute {
    /// Bytes that `/bytes/N` and `/chunked/N` send at most: 16 GiB.
    static let fillerByteCountMax: UInt64 = 16 << 30
    /// The longest `/delay/MS`.
    static let delayMax = TimeSpan.seconds(600)

    /// Plans the response; `/control/...` changes `state`.
    static func answer(
        path: [UInt8], requestHead: [UInt8], requestBody: [UInt8],
        state: inout BackendState
    ) -> BackendResponse {
        let target = path.prefix { $0 != 0x3F }
        let parts = target.split(separator: 0x2F).map { String(decoding: $0, as: UTF8.self) }
        var response = BackendResponse()
        switch parts.first {
        case nil:
            response.body = .bytes(Array("\(state.name)\n".utf8))
        case "healthz":
            response.statusCode = state.isHealthy ? 200 : 503
            response.body = .bytes(Array((state.isHealthy ? "ok\n" : "failing\n").utf8))
        case "control":
            return control(parts.dropFirst(), &state)
        case "echo":
            response.body = .bytes(requestHead + requestBody)
        case "bytes", "chunked", "delay", "status":
            guard let number = parts.dropFirst().first.flatMap({ Decimal.parse($0.utf8) }) else {
                return notFound
            }
            return counted(parts[0], number, state)
        default:
            // Unknown paths answer too: routing tests only want to know who answered.
            let text = "\(state.name) \(String(decoding: target.prefix(256), as: UTF8.self))\n"
            response.body = .bytes(Array(text.utf8))
        }
        return response
    }

    private static let notFound = BackendResponse(
        statusCode: 404, body: .bytes(Array("no such test\n".utf8)))

    private static func counted(
        _ kind: String, _ number: UInt64, _ state: BackendState
    ) -> BackendResponse {
        switch kind {
        case "bytes": return BackendResponse(body: .filler(count: min(number, fillerByteCountMax)))
        case "chunked":
            return BackendResponse(body: .chunkedFiller(count: min(number, fillerByteCountMax)))
        case "delay":
            return BackendResponse(
                body: .bytes(Array("\(state.name)\n".utf8)),
                delay: min(.milliseconds(number), delayMax))
        default:
            guard (200...599).contains(number) else { return notFound }
            return BackendResponse(
                statusCode: Int(number), body: .bytes(Array("status \(number)\n".utf8)))
        }
    }

    private static func control(
        _ words: ArraySlice<String>, _ state: inout BackendState
    ) -> BackendResponse {
        switch Array(words) {
        case ["health", "fail"]: state.isHealthy = false
        case ["health", "ok"]: state.isHealthy = true
        default: return notFound
        }
        return BackendResponse(body: .bytes(Array("done\n".utf8)))
    }
}
