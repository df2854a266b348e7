// SPDX-License-Identifier: Apache-2.0
//
// Looks names up: in the hosts file, else by asking servers. Keeps no answer.

internal import CCares
public import EventLoop
internal import LinuxIO
public import WireCore

/// Looks up hosts and services without waiting; belongs to the thread of its loop.
public final class Resolver {
    /// Questions that may be open at once; more are refused.
    public static let questionsMax = 256
    /// A larger one is taken for unchanged.
    private static let serversByteCountMax = 65_536

    private let loop: EventLoop
    private let settings: ResolverSettings
    private var channel: Channel
    /// Channels whose last questions are still open.
    private var retired: [Channel] = []
    private var hostsFile: HostsFile
    private var serversContent: [UInt8]
    private var serversReadAt: Instant
    private var openCount = 0
    private var isStopped = false

    /// Prepares a resolver.
    ///
    /// - Throws: when c-ares refuses the settings or has no memory.
    public init(_ settings: ResolverSettings, on loop: EventLoop) throws(ResolverError) {
        self.loop = loop
        self.settings = settings
        channel = try Channel(settings, on: loop)
        hostsFile = HostsFile(path: settings.hostsPath)
        serversContent = Self.content(of: settings)
        serversReadAt = Clock.now()
    }

    deinit {
        stop()
    }

    /// Ends every lookup without a call; the resolver can do nothing more.
    public func stop() {
        isStopped = true
        for channel in retired + [channel] { channel.stop() }
        retired = []
    }

    /// Looks up the addresses of a host; `done` is called once, never before this returns.
    ///
    /// A name with a last dot is complete; another one may be searched in the domains that
    /// resolv.conf(5) names.
    public func lookUpHost(_ name: String, _ done: @escaping (HostLookup) -> Void) {
        let now = Clock.now()
        let plain = (name.hasSuffix(".") ? String(name.dropLast()) : name).lowercased()
        if let known = hostsFile.addresses(of: plain, now: now) ?? Self.loopback(plain) {
            let lookup = Self.lookup(of: known)
            loop.schedule(at: loop.now) { [weak self] in
                guard let self, !isStopped else { return }
                done(lookup)
            }
            return
        }
        let join = HostJoin(done)
        ask(name, .a) { join.v4Ended(Self.addresses($0, .a)) }
        ask(name, .aaaa) { join.v6Ended(Self.addresses($0, .aaaa)) }
    }

    /// Looks up the records of a service; `done` is called once, never before this returns.
    public func lookUpService(
        _ name: String, _ done: @escaping (NameLookupOutcome<ServiceRecord>) -> Void
    ) {
        ask(name, .srv) { answer in
            switch answer {
            case .message(let bytes): done(NameMessage.services(bytes))
            case .status(let status): done(Self.outcome(of: status))
            }
        }
    }

    private func ask(
        _ name: String, _ type: NameMessage.RecordType,
        _ done: @escaping (ChannelAnswer) -> Void
    ) {
        precondition(!isStopped, "asking a resolver that was stopped")
        guard openCount < Self.questionsMax else {
            loop.schedule(at: loop.now) { done(.status(ARES_ENOMEM)) }
            return
        }
        refreshServers()
        openCount += 1
        channel.ask(name, type: type.rawValue) { [weak self] answer in
            self?.openCount -= 1
            done(answer)
        }
    }

    /// Takes over changed servers and search lists of the system, as a new lease of an address
    /// brings them.
    private func refreshServers() {
        let now = Clock.now()
        guard now - serversReadAt >= settings.serversAgeMax else { return }
        serversReadAt = now
        let content = Self.content(of: settings)
        guard content != serversContent, !content.isEmpty,
            let fresh = try? Channel(settings, on: loop)
        else { return }
        serversContent = content
        channel.retire()
        retired = (retired + [channel]).filter { $0.openCount > 0 }
        channel = fresh
    }

    private static func content(of settings: ResolverSettings) -> [UInt8] {
        let content = try? FileSystem.read(
            path: settings.serversPath, byteCountMax: serversByteCountMax)
        return content ?? []
    }

    /// RFC 6761 §6.3: localhost is never asked for.
    private static func loopback(_ name: String) -> [IPAddress]? {
        guard name == "localhost" || name.hasSuffix(".localhost") else { return nil }
        return [.v4(.loopback), .v6(.loopback)]
    }

    private static func lookup(of addresses: [IPAddress]) -> HostLookup {
        var v4: [IPAddress] = []
        var v6: [IPAddress] = []
        for address in addresses {
            switch address {
            case .v4: v4.append(address)
            case .v6: v6.append(address)
            }
        }
        return HostLookup(
            v4: v4.isEmpty ? .noRecords : .records(v4, ttl: HostsFile.ttl),
            v6: v6.isEmpty ? .noRecords : .records(v6, ttl: HostsFile.ttl))
    }

    private static func addresses(
        _ answer: ChannelAnswer, _ type: NameMessage.RecordType
    ) -> NameLookupOutcome<IPAddress> {
        switch answer {
        case .message(let bytes): NameMessage.addresses(bytes, type)
        case .status(let status): outcome(of: status)
        }
    }

    private static func outcome<Record>(of status: CInt) -> NameLookupOutcome<Record> {
        switch status {
        case ARES_ENODATA: .noRecords
        case ARES_ENOTFOUND: .noSuchName
        case ARES_ETIMEOUT: .failed(.timedOut)
        // Also what c-ares 1.18 says when every server answered SERVFAIL, REFUSED or NOTIMP.
        case ARES_ECONNREFUSED: .failed(.noServer)
        case ARES_ESERVFAIL: .failed(.serverFailure)
        case ARES_EREFUSED: .failed(.refused)
        case ARES_ENOTIMP, ARES_EFORMERR: .failed(.notUnderstood)
        case ARES_EBADNAME, ARES_EBADQUERY, ARES_EBADSTR: .failed(.badName)
        case ARES_ENOMEM, ARES_EFILE: .failed(.notAsked)
        case ARES_ECANCELLED, ARES_EDESTRUCTION: .failed(.cancelled)
        default: .failed(.malformed)
        }
    }
}

/// Waits for both questions of a host.
private final class HostJoin {
    private let done: (HostLookup) -> Void
    private var v4: NameLookupOutcome<IPAddress>?
    private var v6: NameLookupOutcome<IPAddress>?

    init(_ done: @escaping (HostLookup) -> Void) {
        self.done = done
    }

    func v4Ended(_ outcome: NameLookupOutcome<IPAddress>) {
        v4 = outcome
        finish()
    }

    func v6Ended(_ outcome: NameLookupOutcome<IPAddress>) {
        v6 = outcome
        finish()
    }

    private func finish() {
        guard let v4, let v6 else { return }
        done(HostLookup(v4: v4, v6: v6))
    }
}
