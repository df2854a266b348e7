// SPDX-License-Identifier: Apache-2.0
//
// Mirrors: copies of requests for a pool whose answers nobody reads. A copy has an upstream
// connection of its own and no client. Whatever becomes of it, the client's request knows nothing
// of it: no wait, no shared buffer, no verdict about a backend.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Copies of one worker under way; a request more is not copied.
    static let mirrorsInFlightMax = 256
    /// A request is copied when its whole body is here with its head, and no longer than this.
    static let mirrorBodyByteCountMax = 64 * 1_024
    /// How long a copy may take, from its connection to the end of its answer.
    static let mirrorSpan = TimeSpan.seconds(10)
    /// Bytes of an answer that are read and thrown away before the connection is cut.
    static let mirrorAnswerByteCountMax = 1 << 20

    /// Copies the request that `request` describes if its route wants that and the draw says so.
    @inline(__always)
    mutating func mirror(_ client: ClientConnection.Pointer) {
        guard let route = client.pointee.route, let mirror = route.pointee.mirror else { return }
        let draw = generator.next().multipliedFullWidth(by: 10_000).high
        guard draw < mirror.shareBasisPoints else { return }
        guard sendCopy(client, route, to: mirror.pool) else {
            route.pointee.count { $0.mirrorSkips.add() }
            return
        }
    }

    /// Begins a connection for a copy; false when the request cannot be copied now.
    private mutating func sendCopy(
        _ client: ClientConnection.Pointer, _ route: CompiledRoute.Pointer,
        to pool: UnsafeMutablePointer<WorkerPool>
    ) -> Bool {
        // Copies are worth no client's connection, and no other upstream connection.
        guard mirrorsInFlight < Self.mirrorsInFlightMax, !request.requestsUpgrade,
            !request.expectsContinue, clients.count &+ upstreams.count < setup.connectionMax,
            let bodyCount = frameMirroredBody(client)
        else { return false }
        guard let index = pool.pointee.choose(now: now).index else { return false }
        let backend = pool.pointee.backends[index]
        // Those who wait for room come before copies.
        guard !pool.pointee.isWaitedFor,
            backend.pointee.takePlace(poolMax: pool.pointee.requestsMax) == .taken
        else { return false }
        guard let upstream = try? openConnection(to: backend) else {
            backend.pointee.requestEnds()
            noteRoom(in: backend.pointee.pool)
            route.pointee.count { $0.mirrorFailures.add() }
            return true
        }
        upstream.pointee.phase = .mirroring
        upstream.pointee.mirrored = route
        route.pointee.table.pointee.useCount &+= 1
        mirrorsInFlight &+= 1
        backend.pointee.count { $0.requests.add() }
        guard let headCount = writeUpstreamHead(client, upstream) else {
            close(upstream)
            return true
        }
        keepProxyHeader(client, upstream)
        keep(headScratch[..<headCount], in: &upstream.pointee.output)
        keep(chunkScratch[..<bodyCount], in: &upstream.pointee.output)
        arm(upstream, after: Self.mirrorSpan)
        return true
    }

    private mutating func keepProxyHeader(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard var header = proxyHeader(of: client, for: upstream) else { return }
        header.withUnsafeMutableBytes { keep($0[...], in: &upstream.pointee.output) }
    }

    // MARK: The body of a copy

    /// Puts the whole body into `chunkScratch`, framed as the copy's head says; returns its length,
    /// or `nil` when it is not all here or too long.
    private func frameMirroredBody(_ client: ClientConnection.Pointer) -> Int? {
        var decoder = client.pointee.body
        if decoder.isComplete { return 0 }
        let lineMax = ChunkFramer.sizeLineByteCountMax
        let unread = client.pointee.input.unread
        var offset = 0
        var end = lineMax
        while !decoder.isComplete {
            guard offset < unread.count else { return nil }
            let step = decoder.next(UnsafeRawBufferPointer(rebasing: unread[offset...]))
            if case .malformed = step.status { return nil }
            let payloadStart = offset &+ step.payloadOffset
            guard step.consumedByteCount > 0,
                end &- lineMax &+ step.payloadByteCount <= Self.mirrorBodyByteCountMax,
                let place = chunkScratch.baseAddress, let source = unread.baseAddress
            else { return nil }
            (place + end).copyMemory(
                from: source + payloadStart, byteCount: step.payloadByteCount)
            end &+= step.payloadByteCount
            offset &+= step.consumedByteCount
        }
        guard client.pointee.isBodyChunked else { return movedToFront(lineMax..<end) }
        return movedToFront(frameAsOneChunk(lineMax..<end))
    }

    /// RFC 9112 §7.1: one chunk and the last one, around payload that lies in `chunkScratch`.
    private func frameAsOneChunk(_ payload: Range<Int>) -> Range<Int> {
        var begin = payload.lowerBound
        if !payload.isEmpty {
            let place = UnsafeMutableRawBufferPointer(rebasing: chunkScratch[..<begin])
            begin &-=
                ChunkFramer.writeSizeLineBefore(payloadByteCount: payload.count, endOf: place) ?? 0
        }
        let tail = payload.isEmpty ? ChunkFramer.lastChunk : ChunkFramer.chunkEndAndLastChunk
        var end = payload.upperBound
        for index in 0..<tail.utf8CodeUnitCount {
            chunkScratch[end] = tail.utf8Start[index]
            end &+= 1
        }
        return begin..<end
    }

    private func movedToFront(_ range: Range<Int>) -> Int {
        guard let base = chunkScratch.baseAddress else { return 0 }
        base.copyMemory(from: base + range.lowerBound, byteCount: range.count)
        return range.count
    }

    // MARK: A copy on its way

    /// Something changed for the connection of a copy.
    mutating func driveMirror(_ upstream: UpstreamConnection.Pointer) {
        if !upstream.pointee.requestBegan {
            guard !upstream.pointee.readiness.isDisjoint(with: [.writable, .broken]) else { return }
            guard StreamSocket.pendingError(upstream.pointee.socket) == nil else {
                close(upstream)
                return
            }
            switch flush(upstream) {
            case .done: upstream.pointee.requestBegan = true
            case .blocked: return
            case .failed:
                close(upstream)
                return
            }
        }
        forgetAnswer(upstream)
    }

    /// Reads what the backend says and throws it away, up to its end or a bound.
    private mutating func forgetAnswer(_ upstream: UpstreamConnection.Pointer) {
        guard let place = chunkScratch.baseAddress else { return }
        var budget = Self.bytesPerTurnMax
        while upstream.pointee.readiness.contains(.readable) {
            guard budget > 0 else {
                enqueue(upstream)
                return
            }
            let outcome = SocketTransfer.receive(
                upstream.pointee.socket, into: place, count: Self.chunkPayloadMax)
            if outcome.wouldBlock {
                upstream.pointee.readiness.remove(.readable)
                return
            }
            guard outcome.byteCount > 0 else {
                close(upstream)
                return
            }
            budget &-= outcome.byteCount
            upstream.pointee.forgottenByteCount &+= UInt32(truncatingIfNeeded: outcome.byteCount)
            guard upstream.pointee.forgottenByteCount < UInt32(Self.mirrorAnswerByteCountMax) else {
                close(upstream)
                return
            }
        }
    }

    /// The connection of a copy closes, in whichever way.
    mutating func endMirror(_ upstream: UpstreamConnection.Pointer) {
        guard let route = upstream.pointee.mirrored else { return }
        upstream.pointee.mirrored = nil
        let wasSent = upstream.pointee.requestBegan
        route.pointee.count {
            if wasSent { $0.mirrored.add() } else { $0.mirrorFailures.add() }
        }
        let backend = upstream.pointee.backend
        backend.pointee.requestEnds()
        noteRoom(in: backend.pointee.pool)
        mirrorsInFlight &-= 1
        endUse(of: route.pointee.table)
    }
}
