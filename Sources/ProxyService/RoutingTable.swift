// SPDX-License-Identifier: Apache-2.0
//
// The routes of one listener, flat: patterns as bytes, answers as pointers. The first match wins.
// What belongs to the listener as a whole lies beside them, so that a request sees one version of
// everything from its head to its end, whatever is loaded meanwhile.

internal import ConfigurationCore
internal import HTTPCore

/// One listener's routes and settings on one worker.
///
/// Every pool that a route names counts a use for each. Whoever drops the last use of the table
/// ends these.
struct RoutingTable: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<RoutingTable>

    /// Tables with fewer routes are looked through from the first to the last.
    static let indexedCountMin = 12

    /// The listener in force, and requests that follow one of the routes.
    var useCount = 1
    let policy: PathPolicy
    let allowsTrace: Bool
    /// Edits of answers to requests without a route.
    let responseEdits: HeadEditList
    private let ownedResponseEdits: HeadEdits
    /// The limits of the listener, in file order.
    let rateLimits: UnsafeBufferPointer<CompiledRateLimit>
    private let errorPages: UnsafeBufferPointer<ComposedBody>

    private let routes: CompiledRoute.Pointer
    /// For each route what its path begins with.
    private let filters: UnsafeBufferPointer<PathFilter>
    let count: Int
    private let isIndexed: Bool
    private let index: HostIndex
    private let texts: TextArena
    /// Keeps what the routes count in.
    private let plan: ListenerPlan

    /// Compiles the routes of a listener; `pools` has the pools at the indexes that plans name.
    static func make(
        _ plan: ListenerPlan, pools: [UnsafeMutablePointer<WorkerPool>], workerIndex: Int
    ) -> Pointer {
        let place = Pointer.allocate(capacity: 1)
        place.initialize(
            to: RoutingTable(plan, at: place, pools: pools, workerIndex: workerIndex))
        place.pointee.forEachUse { $0.pointee.useCount += 1 }
        return place
    }

    private init(
        _ plan: ListenerPlan, at place: Pointer, pools: [UnsafeMutablePointer<WorkerPool>],
        workerIndex: Int
    ) {
        var settings = HTTPListenerConfiguration(routes: [])
        var routePlans: [RoutePlan] = []
        var limits: [SharedRateLimit] = []
        if case .http(let http, let routes, let rateLimits) = plan.service {
            settings = http
            routePlans = routes
            limits = rateLimits
        }
        self.plan = plan
        let policy = PathPolicy(settings.path)
        self.policy = policy
        allowsTrace = settings.allowsTrace
        ownedResponseEdits = CompiledRoute.edits(.response, [settings.responseHeaders])
        responseEdits = ownedResponseEdits.list
        var texts = TextArena()
        rateLimits = texts.keep(
            limits.map { CompiledRateLimit($0, workerIndex: workerIndex, texts: &texts) })
        errorPages = texts.keep(
            settings.errorPages.map {
                ComposedBody(
                    status: $0.status, contentType: $0.contentType, body: $0.body, texts: &texts)
            })
        count = routePlans.count
        routes = .allocate(capacity: max(1, count))
        var hosts: [UnsafeRawBufferPointer] = []
        for (number, route) in routePlans.enumerated() {
            (routes + number).initialize(
                to: CompiledRoute(
                    route, number: number, table: place, settings: settings, policy: policy,
                    pools: pools, workerIndex: workerIndex, texts: &texts))
            hosts.append(routes[number].matcher.host)
        }
        var filters: [PathFilter] = []
        for number in 0..<routePlans.count { filters.append(routes[number].matcher.pathFilter) }
        self.filters = texts.keep(filters)
        isIndexed = count >= Self.indexedCountMin && hosts.contains { !$0.isEmpty }
        index = HostIndex(isIndexed ? hosts : [])
        self.texts = texts
    }

    deinit {
        routes.deinitialize(count: count)
        routes.deallocate()
    }

    /// The pools that lose a use each when this table is given up.
    func forEachUse(_ body: (UnsafeMutablePointer<WorkerPool>) -> Void) {
        for number in 0..<count {
            switch routes[number].action {
            case .pool(let pool): body(pool)
            case .split(_, let pools): for pool in pools { body(pool) }
            case .redirect, .respond: break
            }
            if let mirror = routes[number].mirror { body(mirror.pool) }
        }
    }

    /// The route of a parsed head whose path is in its one form, or `nil` when none matches.
    @inline(__always)
    func route(
        for request: borrowing RequestHead, in input: UnsafeRawBufferPointer
    ) -> CompiledRoute.Pointer? {
        let start = PathFilter.start(of: request.canonicalPath(in: input))
        if isIndexed { return indexedRoute(for: request, start, in: input) }
        return firstRoute(for: request, start, in: input)
    }

    private func firstRoute(
        for request: borrowing RequestHead, _ start: UInt64, in input: UnsafeRawBufferPointer
    ) -> CompiledRoute.Pointer? {
        var number = 0
        while number < count {
            if filters[number].passes(start), routes[number].matcher.matches(request, in: input) {
                return routes + number
            }
            number &+= 1
        }
        return nil
    }

    private func indexedRoute(
        for request: borrowing RequestHead, _ start: UInt64, in input: UnsafeRawBufferPointer
    ) -> CompiledRoute.Pointer? {
        var candidates = index.candidates(for: request.host.bytes(in: input))
        if candidates.isOverflowing { return firstRoute(for: request, start, in: input) }
        while let number = index.next(&candidates) {
            if filters[number].passes(start), routes[number].matcher.matches(request, in: input) {
                return routes + number
            }
        }
        return nil
    }

    /// The body that the listener has for answers with a status.
    func errorPage(for status: UInt16) -> ComposedBody? {
        errorPages.first { $0.status == status }
    }
}

extension PathPolicy {
    /// The policy that a listener's key `path` asks for.
    init(_ configuration: PathConfiguration) {
        self.init(mergesSlashes: configuration.mergesSlashes)
        switch configuration.dotSegments {
        case .resolve: dotSegments = .resolve
        case .reject: dotSegments = .reject
        case .keep: dotSegments = .keep
        }
        switch configuration.encodedSlashes {
        case .keep: encodedSlashes = .keep
        case .reject: encodedSlashes = .reject
        case .decode: encodedSlashes = .decode
        }
    }
}
