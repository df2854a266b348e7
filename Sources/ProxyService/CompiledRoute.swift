// SPDX-License-Identifier: Apache-2.0
//
// One route as a worker follows it: conditions, action, and what is changed on the way. It lives in
// its table, which lives as long as a request refers to it.

internal import ConfigurationCore
internal import HTTPCore

/// Where a route's requests go.
enum CompiledAction {
    /// To this pool.
    case pool(UnsafeMutablePointer<WorkerPool>)
    /// To one of these pools.
    case split(PoolSplit, UnsafeBufferPointer<UnsafeMutablePointer<WorkerPool>>)
    /// Nowhere: the client is told where else.
    case redirect(CompiledRedirect)
    /// Nowhere: the answer is in the configuration.
    case respond(ComposedBody)
}

/// Status and target of a redirect; the texts lie in the arena of the table.
struct CompiledRedirect {
    let status: UInt16
    let target: RedirectTarget
}

/// A body from the configuration: fixed responses and error pages.
struct ComposedBody {
    let status: UInt16
    let contentType: UnsafeRawBufferPointer
    let body: UnsafeRawBufferPointer

    init(status: UInt16, contentType: String, body: String, texts: inout TextArena) {
        self.status = status
        self.contentType = texts.keep(contentType)
        self.body = texts.keep(body)
    }
}

/// A mirror: the pool that gets copies, and how many of 10,000 requests are copied.
struct CompiledMirror {
    let pool: UnsafeMutablePointer<WorkerPool>
    let shareBasisPoints: UInt64
}

/// One route of one table.
struct CompiledRoute: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<CompiledRoute>

    let table: RoutingTable.Pointer
    /// Its place in the file, from 0.
    let number: Int
    let matcher: RouteMatcher
    let action: CompiledAction
    let mirror: CompiledMirror?
    /// What takes the place of the matched path.
    let pathRewrite: PathRewrite
    /// The host that the backend sees; empty for the request's.
    let host: UnsafeRawBufferPointer
    private let ownedRequestEdits: HeadEdits
    private let ownedResponseEdits: HeadEdits
    /// Edits of the listener, then of the route.
    let requestEdits: HeadEditList
    let responseEdits: HeadEditList
    /// The limits of the route, in file order.
    let rateLimits: UnsafeBufferPointer<CompiledRateLimit>
    private let tallies: Unmanaged<RouteTallies>

    init(
        _ plan: RoutePlan, number: Int, table: RoutingTable.Pointer,
        settings: HTTPListenerConfiguration, policy: PathPolicy,
        pools: [UnsafeMutablePointer<WorkerPool>], workerIndex: Int, texts: inout TextArena
    ) {
        let configuration = plan.configuration
        self.table = table
        self.number = number
        matcher = RouteMatcher(configuration.match, policy: policy, texts: &texts)
        action = Self.action(plan, pools: pools, texts: &texts)
        if let mirror = configuration.mirror, let index = plan.mirrorPoolIndex {
            self.mirror = CompiledMirror(
                pool: pools[index], shareBasisPoints: UInt64(clamping: mirror.shareBasisPoints))
        } else {
            mirror = nil
        }
        if let prefix = configuration.rewrite.pathPrefix {
            pathRewrite = PathRewrite(
                matchedByteCount: matcher.matchedByteCount, replacement: texts.keep(prefix))
        } else {
            pathRewrite = PathRewrite()
        }
        host = texts.keep(configuration.rewrite.host ?? "")
        ownedRequestEdits = Self.edits(
            .request, [settings.requestHeaders, configuration.requestHeaders])
        ownedResponseEdits = Self.edits(
            .response, [settings.responseHeaders, configuration.responseHeaders])
        requestEdits = ownedRequestEdits.list
        responseEdits = ownedResponseEdits.list
        rateLimits = texts.keep(
            plan.rateLimits.map {
                CompiledRateLimit($0, workerIndex: workerIndex, texts: &texts)
            })
        // The plan, which the table keeps, keeps these.
        tallies = Unmanaged.passUnretained(plan.shared.tallies[workerIndex])
    }

    @inline(__always)
    func count(_ body: (RouteTallies) -> Void) {
        tallies._withUnsafeGuaranteedRef(body)
    }

    private static func action(
        _ plan: RoutePlan, pools: [UnsafeMutablePointer<WorkerPool>], texts: inout TextArena
    ) -> CompiledAction {
        switch plan.configuration.action {
        case .pool:
            return .pool(pools[plan.pools[0].poolIndex])
        case .split:
            return .split(
                PoolSplit(plan.pools.map(\.weight), texts: &texts),
                texts.keep(plan.pools.map { pools[$0.poolIndex] }))
        case .redirect(let redirect):
            let target = RedirectTarget(
                scheme: redirect.scheme.map { $0 == "https" ? .https : .http },
                host: texts.keep(redirect.host ?? ""), port: redirect.port,
                path: texts.keep(redirect.path ?? ""))
            guard let target else { preconditionFailure("the planner checks redirects") }
            return .redirect(CompiledRedirect(status: redirect.status, target: target))
        case .respond(let response):
            return .respond(
                ComposedBody(
                    status: response.status, contentType: response.contentType,
                    body: response.body, texts: &texts))
        }
    }

    /// Edits that act one after the other: of each remove, then set, then add.
    static func edits(_ direction: HeadDirection, _ list: [HeaderEdits]) -> HeadEdits {
        var builder = HeadEditBuilder(direction)
        for edits in list {
            for name in edits.remove { builder.remove(Array(name.utf8)) }
            for header in edits.set {
                builder.set(Array(header.name.utf8), to: Array(header.value.utf8))
            }
            for header in edits.add {
                builder.add(Array(header.name.utf8), Array(header.value.utf8))
            }
        }
        return builder.build()
    }
}
