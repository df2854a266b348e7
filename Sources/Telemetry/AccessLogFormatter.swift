// SPDX-License-Identifier: Apache-2.0
//
// One line of the access log in one of its forms, written in two steps: the opening while the
// request's head is at hand, the rest when the request is over. No String, no allocation.

/// Where the parts of an opening lie.
public struct AccessLogOpening {
    /// The form it was written in; the rest follows in the same.
    public let format: AccessLogFormat
    /// Bytes that come before what the end of the request tells.
    public let prefixByteCount: Int
    /// All bytes.
    public let byteCount: Int

    /// Describes an opening that `begin` wrote.
    public init(format: AccessLogFormat, prefixByteCount: Int, byteCount: Int) {
        self.format = format
        self.prefixByteCount = prefixByteCount
        self.byteCount = byteCount
    }
}

/// Writes lines of one form; one per worker.
public struct AccessLogFormatter: ~Copyable {
    /// The longest line with its end: what Linux writes to a pipe in one piece (PIPE_BUF), so that
    /// lines of several writers never mix.
    public static let lineByteCountMax = 4_096
    /// The most that an opening takes, whatever a client sends.
    public static let openingByteCountMax = 3_456
    /// The longest method, in bytes of the log.
    public static let methodByteCountMax = 32
    /// The longest host; a name has at most 253 bytes.
    public static let hostByteCountMax = 256
    /// The longest target; what a client sends may be longer.
    public static let targetByteCountMax = 1_536
    /// The longest referer.
    public static let refererByteCountMax = 384
    /// The longest user agent.
    public static let userAgentByteCountMax = 512
    /// The longest request identifier; a longer one is left out.
    public static let requestIDByteCountMax = 128

    /// The form of the lines begun from now on.
    public let format: AccessLogFormat
    private var clock = AccessLogClock()

    /// Writes lines of this form.
    public init(_ format: AccessLogFormat) {
        self.format = format
    }

    /// Writes the opening of a line into `room`; `nil` when it does not fit.
    ///
    /// Everything fits into `openingByteCountMax`.
    public mutating func begin(
        _ request: borrowing AccessLogRequest, into room: UnsafeMutableRawBufferPointer
    ) -> AccessLogOpening? {
        guard var text = AccessLogText(room) else { return nil }
        let prefixByteCount: Int
        switch format {
        case .json:
            beginJSON(request, &text)
            prefixByteCount = text.count
        case .common, .combined:
            beginCommon(request, &text)
            prefixByteCount = text.count
            if format == .combined { appendAgent(request, &text) }
        }
        guard !text.isOverfull else { return nil }
        return AccessLogOpening(
            format: format, prefixByteCount: prefixByteCount, byteCount: text.count)
    }

    /// Writes a whole line with its end; `room` has `lineByteCountMax` bytes.
    ///
    /// - Parameters:
    ///   - opening: what `begin` wrote, and where its parts lie.
    ///   - bytes: the memory that `begin` wrote to.
    ///   - result: how the request ended.
    ///   - room: where the line goes.
    /// - Returns: the line's length.
    public static func finish(
        _ opening: AccessLogOpening, _ bytes: UnsafeRawBufferPointer,
        _ result: borrowing AccessLogResult, into room: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard var text = AccessLogText(room) else { return 0 }
        text.append(plain: UnsafeRawBufferPointer(rebasing: bytes[..<opening.prefixByteCount]))
        switch opening.format {
        case .json:
            finishJSON(result, &text)
        case .common, .combined:
            finishCommon(result, &text)
            let suffix = bytes[opening.prefixByteCount..<opening.byteCount]
            text.append(plain: UnsafeRawBufferPointer(rebasing: suffix))
        }
        text.append(byte: UInt8(ascii: "\n"))
        assert(!text.isOverfull, "the limits of the parts exceed the limit of a line")
        return text.isOverfull ? 0 : text.count
    }

    // MARK: JSON

    private mutating func beginJSON(
        _ request: borrowing AccessLogRequest, _ text: inout AccessLogText
    ) {
        let second = request.wallNanoseconds / 1_000_000_000
        let inSecond = request.wallNanoseconds &- second &* 1_000_000_000
        text.append("{\"time\":\"")
        text.append(plain: clock.rfc3339(second: second))
        text.append(byte: UInt8(ascii: "."))
        text.append(threeDigits: UInt32(truncatingIfNeeded: inSecond / 1_000_000))
        text.append("Z\",\"node\":\"")
        text.append(plain: request.node)
        text.append("\",\"listener\":\"")
        text.append(plain: request.listener)
        text.append("\",\"client\":\"")
        text.append(plain: request.client)
        if request.clientPort > 0 {
            text.append("\",\"client_port\":")
            text.append(decimal: UInt64(request.clientPort))
        } else {
            text.append("\"")
        }
        if !request.peer.isEmpty {
            text.append(",\"peer\":\"")
            text.append(plain: request.peer)
            text.append("\",\"peer_port\":")
            text.append(decimal: UInt64(request.peerPort))
        }
        switch request.service {
        case .tcp: text.append(",\"protocol\":\"tcp\"")
        case .http: appendRequest(request, &text)
        }
    }

    private func appendRequest(
        _ request: borrowing AccessLogRequest, _ text: inout AccessLogText
    ) {
        text.append(
            request.minorVersion == 0
                ? ",\"protocol\":\"HTTP/1.0\"" : ",\"protocol\":\"HTTP/1.1\"")
        append(",\"method\":\"", request.method, limit: Self.methodByteCountMax, &text)
        append(",\"host\":\"", request.host, limit: Self.hostByteCountMax, &text)
        append(",\"target\":\"", request.target, limit: Self.targetByteCountMax, &text)
        append(",\"request_id\":\"", plain: request.requestID, &text)
        append(",\"trace_id\":\"", plain: request.traceID, &text)
        append(",\"referer\":\"", request.referer, limit: Self.refererByteCountMax, &text)
        append(",\"user_agent\":\"", request.userAgent, limit: Self.userAgentByteCountMax, &text)
    }

    @inline(__always)
    private func append(
        _ name: StaticString, _ value: UnsafeRawBufferPointer, limit: Int,
        _ text: inout AccessLogText
    ) {
        guard !value.isEmpty else { return }
        text.append(name)
        text.append(escaping: value, as: .json, limit: limit)
        text.append("\"")
    }

    /// Appends a value that was found to have no byte that means anything.
    @inline(__always)
    private func append(
        _ name: StaticString, plain value: UnsafeRawBufferPointer, _ text: inout AccessLogText
    ) {
        guard !value.isEmpty, value.count <= Self.requestIDByteCountMax else { return }
        text.append(name)
        text.append(plain: value)
        text.append("\"")
    }

    private static func finishJSON(
        _ result: borrowing AccessLogResult, _ text: inout AccessLogText
    ) {
        text.append(",\"status\":")
        text.append(decimal: UInt64(result.status))
        text.append(",\"bytes_received\":")
        text.append(decimal: result.receivedByteCount)
        text.append(",\"bytes_sent\":")
        text.append(decimal: result.sentByteCount)
        text.append(",\"idle_us\":")
        text.append(decimal: result.idleMicroseconds)
        text.append(",\"head_us\":")
        text.append(decimal: result.headMicroseconds)
        if let span = result.queueMicroseconds {
            text.append(",\"queue_us\":")
            text.append(decimal: span)
        }
        if let span = result.connectMicroseconds {
            text.append(",\"connect_us\":")
            text.append(decimal: span)
        }
        if let span = result.responseMicroseconds {
            text.append(",\"response_us\":")
            text.append(decimal: span)
        }
        text.append(",\"total_us\":")
        text.append(decimal: result.totalMicroseconds)
        if let route = result.route {
            text.append(",\"route\":")
            text.append(decimal: UInt64(route))
        }
        if !result.pool.isEmpty {
            text.append(",\"pool\":\"")
            text.append(plain: result.pool)
            text.append("\"")
        }
        if !result.backend.isEmpty {
            text.append(",\"backend\":\"")
            text.append(plain: result.backend)
            text.append(result.isReused ? "\",\"reused\":true" : "\",\"reused\":false")
        }
        text.append(",\"retries\":")
        text.append(decimal: UInt64(result.retryCount))
        text.append(",\"replays\":")
        text.append(decimal: UInt64(result.replayCount))
        text.append(",\"termination\":\"")
        text.append(byte: result.cause.letter)
        text.append(byte: result.cause == .none ? UInt8(ascii: "-") : result.phase.letter)
        text.append("\"}")
    }

    // MARK: Common Log Format

    private mutating func beginCommon(
        _ request: borrowing AccessLogRequest, _ text: inout AccessLogText
    ) {
        text.append(plain: request.client)
        text.append(" - - [")
        text.append(plain: clock.common(second: request.wallNanoseconds / 1_000_000_000))
        text.append("] \"")
        switch request.service {
        case .tcp: text.append("TCP")
        case .http where request.method.isEmpty: text.append("-")
        case .http:
            text.append(
                escaping: request.method, as: .quoted, limit: Self.methodByteCountMax)
            text.append(" ")
            text.append(
                escaping: request.target, as: .quoted, limit: Self.targetByteCountMax)
            text.append(request.minorVersion == 0 ? " HTTP/1.0" : " HTTP/1.1")
        }
        text.append("\"")
    }

    private static func finishCommon(
        _ result: borrowing AccessLogResult, _ text: inout AccessLogText
    ) {
        text.append(byte: UInt8(ascii: " "))
        text.append(threeDigits: UInt32(result.status))
        text.append(byte: UInt8(ascii: " "))
        let head = min(result.sentHeadByteCount, result.sentByteCount)
        let body = result.sentByteCount &- head
        if body == 0 {
            text.append(byte: UInt8(ascii: "-"))
        } else {
            text.append(decimal: body)
        }
    }

    private func appendAgent(
        _ request: borrowing AccessLogRequest, _ text: inout AccessLogText
    ) {
        appendQuoted(request.referer, limit: Self.refererByteCountMax, &text)
        appendQuoted(request.userAgent, limit: Self.userAgentByteCountMax, &text)
    }

    private func appendQuoted(
        _ value: UnsafeRawBufferPointer, limit: Int, _ text: inout AccessLogText
    ) {
        text.append(" \"")
        if value.isEmpty {
            text.append("-")
        } else {
            text.append(escaping: value, as: .quoted, limit: limit)
        }
        text.append("\"")
    }
}
