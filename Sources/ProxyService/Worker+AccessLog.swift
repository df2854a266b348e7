// SPDX-License-Identifier: Apache-2.0
//
// What happens to a request, noted for its line in the access log. Times are those of the turn; no
// clock is read. Without an access log each call is one branch.

internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// The first byte of a request has come.
    @inline(__always)
    func noteFirstByte(_ client: ClientConnection.Pointer) {
        guard accessDesk.isOn else { return }
        let idle = (now - client.pointee.requestBegan).microseconds
        client.pointee.idleMicroseconds = UInt32(clamping: idle)
        client.pointee.requestBegan = now
    }

    /// The connection waits for its next request.
    @inline(__always)
    func noteIdle(_ client: ClientConnection.Pointer) {
        client.pointee.requestBegan = now
        client.pointee.idleMicroseconds = 0
    }

    /// A head was read: `request` describes it, and it is in the client's `input`.
    @inline(__always)
    mutating func noteRequestBegan(_ client: ClientConnection.Pointer) {
        identifyClient(client)
        if accessDesk.isOn { beginRecord(client, hasHead: true) }
    }

    /// A connection was accepted on a listener that carries bytes.
    mutating func noteSessionBegan(_ client: ClientConnection.Pointer) {
        guard accessDesk.isOn else { return }
        beginRecord(client, hasHead: false, service: .tcp)
    }

    /// The request is one for route number `number` of its listener.
    @inline(__always)
    func noteRoute(_ client: ClientConnection.Pointer, _ number: Int) {
        guard let record = client.pointee.record else { return }
        record.pointee.route = UInt16(clamping: number)
        record.pointee.phase = .choosing
    }

    /// A backend was chosen, the first or another one.
    @inline(__always)
    func noteChosen(_ client: ClientConnection.Pointer) {
        guard let record = client.pointee.record else { return }
        record.pointee.chosen = now
        record.pointee.connected = AccessRecord.never
        record.pointee.phase = .connecting
        record.pointee.attemptCount &+= 1
        guard let pool = client.pointee.pool else { return }
        let backend = pool.pointee.backends[client.pointee.backendIndex]
        AccessRecord.setNames(
            of: record, pool: pool.pointee.nameText, backend: backend.pointee.nameText)
    }

    /// The request waits for room, or is told that there is none.
    @inline(__always)
    func noteWaiting(_ client: ClientConnection.Pointer) {
        guard let record = client.pointee.record else { return }
        record.pointee.hasWaited = true
        record.pointee.phase = .choosing
        guard let pool = client.pointee.pool else { return }
        AccessRecord.setNames(
            of: record, pool: pool.pointee.nameText,
            backend: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// The request will be sent again to the same backend.
    @inline(__always)
    func noteReplayed(_ client: ClientConnection.Pointer) {
        guard let record = client.pointee.record else { return }
        record.pointee.replayCount &+= 1
        record.pointee.connected = AccessRecord.never
        record.pointee.phase = .connecting
    }

    /// The connection to the backend is up.
    @inline(__always)
    func noteConnected(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard let record = client.pointee.record else { return }
        record.pointee.connected = now
        record.pointee.isReused = upstream.pointee.isReused
        record.pointee.phase = .head
    }

    /// The final response head was written, in so many bytes.
    @inline(__always)
    func noteResponseHead(
        _ client: ClientConnection.Pointer, status: UInt16, headByteCount: Int
    ) {
        guard let record = client.pointee.record else { return }
        record.pointee.answered = now
        record.pointee.status = status
        record.pointee.sentHeadByteCount = UInt32(truncatingIfNeeded: headByteCount)
        record.pointee.phase = .data
        // What went wrong on the way was made good by another attempt.
        record.pointee.cause = .none
    }

    /// Bytes behind the head came from the client.
    @inline(__always)
    func noteReceived(_ client: ClientConnection.Pointer, _ byteCount: Int) {
        guard let record = client.pointee.record else { return }
        record.pointee.receivedByteCount &+= UInt64(truncatingIfNeeded: byteCount)
    }

    /// The kernel took bytes for the client.
    @inline(__always)
    func noteSent(_ client: ClientConnection.Pointer, _ byteCount: Int) {
        guard let record = client.pointee.record else { return }
        record.pointee.sentByteCount &+= UInt64(truncatingIfNeeded: byteCount)
    }

    /// What ends the request early; the first cause is the one that counts.
    @inline(__always)
    func noteCause(_ client: ClientConnection.Pointer, _ cause: AccessLogCause) {
        guard let record = client.pointee.record, record.pointee.cause == .none else { return }
        record.pointee.cause = cause
    }

    /// We answer ourselves, with `headByteCount` bytes of head.
    mutating func noteAnswer(
        _ client: ClientConnection.Pointer, status: UInt16, headByteCount: Int
    ) {
        guard accessDesk.isOn else { return }
        if client.pointee.record == nil { beginRecord(client, hasHead: false) }
        guard let record = client.pointee.record else { return }
        record.pointee.status = status
        record.pointee.sentHeadByteCount = UInt32(truncatingIfNeeded: headByteCount)
        if record.pointee.cause == .none {
            record.pointee.cause = Self.cause(ofOwnStatus: status)
        }
        guard record.pointee.phase == .choosing else { return }
        guard !record.pointee.hasWaited else {
            // It was in the line: how long is worth knowing.
            record.pointee.chosen = now
            return
        }
        // Either the request was decided about without a backend, or none was to be had: for who
        // reads the log that is a refused connection.
        let isDecided = record.pointee.cause == .answered || record.pointee.cause == .refused
        record.pointee.phase = isDecided ? .request : .connecting
    }

    /// Why we answered with a status, when nobody said so.
    private static func cause(ofOwnStatus status: UInt16) -> AccessLogCause {
        switch status {
        case ..<400, 404: .answered
        case 408: .clientTimedOut
        case 500: .internalFault
        case 502, 503: .serverAborted
        case 504: .serverTimedOut
        default: .refused
        }
    }

    /// A client left or was cut off in the middle of a head.
    mutating func noteHeadAbandoned(
        _ client: ClientConnection.Pointer, _ cause: AccessLogCause
    ) {
        guard accessDesk.isOn, !client.pointee.input.isEmpty, client.pointee.record == nil,
            client.pointee.phase == .readingHead
        else { return }
        beginRecord(client, hasHead: false)
        noteCause(client, cause)
    }

    // MARK: Lines

    /// Starts the line of a request while its head is at hand.
    private mutating func beginRecord(
        _ client: ClientConnection.Pointer, hasHead: Bool,
        service: AccessLogRequest.Service = .http
    ) {
        var entry = AccessLogRequest()
        entry.wallNanoseconds = accessDesk.wall(at: client.pointee.requestBegan, now: now)
        entry.service = service
        entry.node = accessDesk.node
        entry.listener = client.pointee.listener.pointee.nameText
        if hasHead { describeRequest(client, &entry) }
        let format = accessDesk.formatter.format
        var text = client.pointee.addressText
        let record = withUnsafePointer(to: &text) { address in
            entry.client = ClientAddressText.text(at: address)
            describePeer(client, &entry)
            return openRecord(entry, format: format, began: client.pointee.requestBegan)
        }
        record.pointee.idleMicroseconds = client.pointee.idleMicroseconds
        record.pointee.headEnded = now
        record.pointee.receivedByteCount = UInt64(client.pointee.input.message.count)
        client.pointee.record = record
    }

    private mutating func describeRequest(
        _ client: ClientConnection.Pointer, _ entry: inout AccessLogRequest
    ) {
        let input = client.pointee.input.message
        entry.minorVersion = request.minorVersion
        entry.method = request.methodRange.bytes(in: input)
        entry.host = request.host.bytes(in: input)
        entry.target = request.target.bytes(in: input)
        describeIdentity(client, &entry)
        if let referer = request.value(of: .referer) { entry.referer = referer.bytes(in: input) }
        if let agent = request.value(of: .userAgent) { entry.userAgent = agent.bytes(in: input) }
    }

    /// Writes the opening, into a small record when it fits.
    private mutating func openRecord(
        _ entry: borrowing AccessLogRequest, format: AccessLogFormat, began: Instant
    ) -> AccessRecord.Pointer {
        var isLarge = false
        while true {
            let record = accessDesk.records.take(isLarge: isLarge)
                .bindMemory(to: AccessRecord.self, capacity: 1)
            record.initialize(to: AccessRecord(began: began, isLarge: isLarge, format: format))
            let room = AccessRecord.room(of: record)
            if let opening = accessDesk.formatter.begin(entry, into: room) {
                record.pointee.prefixByteCount = UInt16(
                    truncatingIfNeeded: opening.prefixByteCount)
                record.pointee.openingByteCount = UInt16(truncatingIfNeeded: opening.byteCount)
                return record
            }
            precondition(!isLarge, "the longest opening fits a large record")
            accessDesk.records.giveBack(record)
            isLarge = true
        }
    }

    /// Writes the line of a request that is over; nothing when it has none.
    @inline(__always)
    mutating func endRecord(_ client: ClientConnection.Pointer) {
        guard let record = client.pointee.record else { return }
        client.pointee.record = nil
        writeLine(record, unreadByteCount: client.pointee.input.unreadCount)
    }

    private mutating func writeLine(_ record: AccessRecord.Pointer, unreadByteCount: Int) {
        defer { accessDesk.records.giveBack(record) }
        guard accessDesk.isOn, let room = accessDesk.buffer.room() else { return }
        var result = AccessLogResult()
        let received = record.pointee.receivedByteCount
        result.receivedByteCount = received &- min(received, UInt64(unreadByteCount))
        result.sentByteCount = record.pointee.sentByteCount
        result.sentHeadByteCount = UInt64(record.pointee.sentHeadByteCount)
        result.status = record.pointee.status
        result.idleMicroseconds = UInt64(record.pointee.idleMicroseconds)
        result.replayCount = record.pointee.replayCount
        result.isReused = record.pointee.isReused
        result.cause = record.pointee.cause
        result.phase = record.pointee.phase
        if record.pointee.route != AccessRecord.noRoute { result.route = record.pointee.route }
        if record.pointee.attemptCount > 0 {
            result.retryCount = record.pointee.attemptCount &- 1
        }
        fillSpans(&result, record)
        let opening = AccessLogOpening(
            format: record.pointee.format,
            prefixByteCount: Int(record.pointee.prefixByteCount),
            byteCount: Int(record.pointee.openingByteCount))
        let poolCount = Int(record.pointee.poolNameByteCount)
        let nameCount = poolCount &+ Int(record.pointee.backendNameByteCount)
        let byteCount = withUnsafeBytes(of: &record.pointee.names) { names in
            result.pool = UnsafeRawBufferPointer(rebasing: names[..<poolCount])
            result.backend = UnsafeRawBufferPointer(rebasing: names[poolCount..<nameCount])
            return AccessLogFormatter.finish(
                opening, UnsafeRawBufferPointer(AccessRecord.room(of: record)), result,
                into: room)
        }
        accessDesk.buffer.commit(byteCount: byteCount, now: now)
    }

    private func fillSpans(_ result: inout AccessLogResult, _ record: AccessRecord.Pointer) {
        let began = record.pointee.began
        let headEnded = record.pointee.headEnded
        let chosen = record.pointee.chosen
        let connected = record.pointee.connected
        let answered = record.pointee.answered
        result.headMicroseconds = (headEnded - began).microseconds
        result.totalMicroseconds = (now - began).microseconds
        guard chosen != AccessRecord.never else { return }
        result.queueMicroseconds = (chosen - headEnded).microseconds
        guard connected != AccessRecord.never else { return }
        result.connectMicroseconds = (connected - chosen).microseconds
        guard answered != AccessRecord.never else { return }
        result.responseMicroseconds = (answered - connected).microseconds
    }
}
