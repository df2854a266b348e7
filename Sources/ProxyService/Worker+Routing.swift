// SPDX-License-Identifier: Apache-2.0
//
// From a request that is understood to what is done with it: limits, route, action. What a route
// changes on the way is remembered by the route that the client's record names, so that a request
// that is sent again is the same one, whatever was loaded meanwhile.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Does with a request what its listener says; `request` describes it.
    ///
    /// Limits of the listener come first, then the route, then the limits of the route. A request
    /// that a later limit refuses has taken its tokens from the earlier ones.
    mutating func follow(_ client: ClientConnection.Pointer) {
        let table = client.pointee.listener.pointee.routes
        guard isAdmitted(client, table.pointee.rateLimits, route: nil) else { return }
        // RFC 9110 §9.3.6, §9.3.8: tunnels are not for a reverse proxy, and echoes of fields only
        // when somebody asked for them.
        guard request.method != .connect, request.method != .trace || table.pointee.allowsTrace
        else {
            client.pointee.keepsAlive = false
            answer(client, .methodNotAllowed)
            return
        }
        let found = table.pointee.route(for: request, in: client.pointee.input.message)
        guard let route = found else {
            answer(client, composed(.notFound, client), mayDiscard: !request.expectsContinue)
            return
        }
        route.pointee.count { $0.requests.add() }
        noteRoute(client, route.pointee.number)
        client.pointee.route = route
        table.pointee.useCount &+= 1
        guard isAdmitted(client, route.pointee.rateLimits, route: route) else { return }
        switch route.pointee.action {
        case .pool(let pool):
            begin(client, pool)
        case .split(let split, let pools):
            begin(client, pools[split.draw(&generator)])
        case .redirect(let redirect):
            answer(client, redirect, route)
        case .respond(let response):
            noteCause(client, .answered)
            var fixed = ComposedAnswer(status: response.status)
            fixed.contentType = response.contentType
            fixed.body = response.body
            fixed.edits = route.pointee.responseEdits
            answer(client, fixed, mayDiscard: !request.expectsContinue)
        }
    }

    /// Sends the request to a pool.
    ///
    /// The choice of a split stays for the whole request: an attempt that follows a failed one goes
    /// to another backend of the same pool. A pool without a backend that is up answers 503.
    private mutating func begin(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) {
        if case .length(let length) = request.framing, length > bodyByteCountMax {
            count { $0.limits.bodies.add() }
            answer(
                client, composed(.contentTooLarge, client), mayDiscard: !request.expectsContinue)
            return
        }
        client.pointee.pool = pool
        pool.pointee.useCount &+= 1
        client.pointee.phase = .exchanging
        if pool.pointee.tunnelSource != nil { _ = forwardsUpgrade(client) }
        findAffinity(client, pool)
        mirror(client)
        if !client.pointee.body.isComplete { arm(client, after: timeouts.bodyIdle) }
        attempt(client, isHeadParsed: true)
    }

    /// The client's request follows no route any more.
    @inline(__always)
    mutating func releaseRoute(_ client: ClientConnection.Pointer) {
        guard let route = client.pointee.route else { return }
        client.pointee.route = nil
        endUse(of: route.pointee.table)
    }

    // MARK: What a route changes

    /// Adds what the client's route changes to the head that its backend gets.
    @inline(__always)
    func followRoute(of client: ClientConnection.Pointer, _ rewrite: inout RequestRewrite) {
        guard let route = client.pointee.route else { return }
        rewrite.edits = route.pointee.requestEdits
        rewrite.path = route.pointee.pathRewrite
        rewrite.host = route.pointee.host
    }

    /// Finds the facts about a request again that was parsed in an earlier step.
    ///
    /// False when the limits of heads were lowered meanwhile and forbid it now.
    mutating func parseAgain(_ client: ClientConnection.Pointer) -> Bool {
        var progress = HeadProgress()
        let outcome = request.parse(client.pointee.input.message, progress: &progress)
        guard case .complete(let headByteCount) = outcome else { return false }
        let policy = table(of: client).pointee.policy
        let fault = request.applyPathPolicy(policy, in: client.pointee.input.message)
        precondition(fault == nil, "a path that was accepted is accepted")
        client.pointee.input.start = client.pointee.input.mark &+ headByteCount
        client.pointee.headByteCount = UInt32(truncatingIfNeeded: headByteCount)
        client.pointee.body = BodyDecoder(request.framing, chunkedByteCountMax: bodyByteCountMax)
        return true
    }

    // MARK: Answers that the configuration asks for

    private mutating func answer(
        _ client: ClientConnection.Pointer, _ redirect: CompiledRedirect,
        _ route: CompiledRoute.Pointer
    ) {
        let place = UnsafeMutableRawBufferPointer(rebasing: chunkScratch[...])
        let written = request.writeLocation(
            from: client.pointee.input.message, redirect: redirect.target,
            clientScheme: scheme(of: client),
            fallbackHost: UnsafeRawBufferPointer(start: nil, count: 0),
            rewrite: route.pointee.pathRewrite, into: place)
        guard let count = written else {
            // HTTP/1.0 without `Host`, and none is configured: there is nowhere to send it.
            answer(client, composed(.badRequest, client), mayDiscard: !request.expectsContinue)
            return
        }
        noteCause(client, .answered)
        var response = ComposedAnswer(status: redirect.status)
        response.location = UnsafeRawBufferPointer(rebasing: chunkScratch[..<count])
        response.edits = route.pointee.responseEdits
        answer(client, response, mayDiscard: !request.expectsContinue)
    }

    /// The scheme that the client used: ours, or what a trusted proxy says that it took.
    private func scheme(of client: ClientConnection.Pointer) -> URIScheme {
        guard client.pointee.isTrusted, let range = request.value(of: .xForwardedProto) else {
            return .http
        }
        return FieldName.equals(range.bytes(in: client.pointee.input.message), "https")
            ? .https : .http
    }

    // MARK: Limits

    /// Takes a token from each limit; answers 429 and returns false when there is none.
    @inline(__always)
    private mutating func isAdmitted(
        _ client: ClientConnection.Pointer, _ limits: UnsafeBufferPointer<CompiledRateLimit>,
        route: CompiledRoute.Pointer?
    ) -> Bool {
        guard limits.count > 0 else { return true }
        return takeTokens(client, limits, route: route)
    }

    private mutating func takeTokens(
        _ client: ClientConnection.Pointer, _ limits: UnsafeBufferPointer<CompiledRateLimit>,
        route: CompiledRoute.Pointer?
    ) -> Bool {
        for index in 0..<limits.count {
            let refusal = limits[index].refusal(
                of: request, in: client.pointee.input.message,
                client: clientAddress(of: client), now: now)
            guard let wait = refusal else { continue }
            logRateLimited(client, route)
            var response = composed(.tooManyRequests, client)
            // RFC 6585 §4, RFC 9110 §10.2.3: whole seconds; 0 would invite an instant retry.
            let seconds = (wait.nanoseconds + 999_999_999) / 1_000_000_000
            response.retryAfterSeconds = UInt32(clamping: max(1, seconds))
            answer(client, response, mayDiscard: !request.expectsContinue)
            return false
        }
        return true
    }

    private mutating func logRateLimited(
        _ client: ClientConnection.Pointer, _ route: CompiledRoute.Pointer?
    ) {
        guard let suppressed = rateLog.admit(now: now) else { return }
        setup.logger.info(
            "request over its rate",
            [
                "client": client.pointee.addressText.description,
                "listener": client.pointee.listener.pointee.identity.name,
                "route": route.map { "\($0.pointee.number + 1)" } ?? "any",
                "suppressed": "\(suppressed)",
            ])
    }

    /// Adopts the limits of message heads and bodies.
    mutating func adoptLimits(_ limits: LimitConfiguration) {
        var wanted = HeadLimits()
        wanted.headByteCountMax = min(limits.headerByteCount, HeadLimits().headByteCountMax)
        wanted.fieldCountMax = limits.headerFields
        wanted.targetByteCountMax = limits.uriByteCount
        bodyByteCountMax = limits.bodyByteCount.map { UInt64(clamping: $0) } ?? .max
        guard wanted != headLimits else { return }
        headLimits = wanted
        request = RequestHead(limits: wanted)
        response = ResponseHead(limits: wanted)
    }
}
