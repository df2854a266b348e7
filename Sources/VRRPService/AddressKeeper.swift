// SPDX-License-Identifier: Apache-2.0
//
// Keeps addresses on this node once somebody decided to have them: renews their lease, puts back
// what others remove. Decides neither whether to have them nor what the LAN is told.

internal import EventLoop
internal import LinuxIO
public import Telemetry
internal import WireCore

/// What keeping addresses counted.
public final class LeaseCounters: Sendable {
    /// Lease renewals made.
    public let renewals = Counter()
    /// Lease renewals that failed.
    public let renewalFailures = Counter()
    /// Renewals that came after the lease had run out.
    public let lateRenewals = Counter()
    /// Virtual addresses put back after somebody removed them.
    public let healedAddresses = Counter()

    init() {}
}

/// What a keeper asks and tells.
protocol AddressKeeperOwner: AnyObject {
    /// A renewal is due; the owner gives the addresses up first when it should not have them.
    ///
    /// - Returns: false when it does not know yet whether it should.
    func addressKeeperWillRenew() -> Bool
    /// The addresses were away for a moment and are back.
    func addressKeeperPutBack()
    /// The addresses are away and cannot be had.
    func addressKeeperLost()
}

/// Renews and heals the addresses of one virtual router.
final class AddressKeeper {
    /// How soon a failed renewal is repeated.
    static let renewalRetryDelay = TimeSpan.milliseconds(50)
    /// At most one repair of removed addresses in this time.
    static let healInterval = TimeSpan.milliseconds(10)
    /// A lease is renewed at least this often.
    static let renewalIntervalMax = TimeSpan.milliseconds(500)

    weak var owner: (any AddressKeeperOwner)?
    /// Whether the addresses are to be here.
    private(set) var isHolding = false

    let addresses: [IPAddress]
    private let lease: TimeSpan
    private let control: any VirtualAddressControl
    private let counters: LeaseCounters
    private let loop: EventLoop
    private let logger: Logger
    private let label: String
    private var renewedAt = Instant(nanoseconds: 0)
    private var healedAt = Instant(nanoseconds: 0)
    private var renewalTimer: TimerID?
    private var healTimer: TimerID?
    private var limiter = LogRateLimiter()

    /// Makes a keeper that holds nothing; `label` begins its log lines.
    init(
        _ addresses: [IPAddress], lease: TimeSpan, control: any VirtualAddressControl,
        counters: LeaseCounters, label: String, loop: EventLoop, logger: Logger
    ) {
        self.addresses = addresses
        self.lease = lease
        self.control = control
        self.counters = counters
        self.label = label
        self.loop = loop
        self.logger = logger
    }

    /// How often the lease is renewed: a core may stall for the rest of it.
    var renewalInterval: TimeSpan {
        min(Self.renewalIntervalMax, lease.divided(by: 4))
    }

    /// Adds the addresses and goes on renewing them; again when they are held already.
    func take() throws(VirtualAddressError) {
        try control.put(addresses, lease: lease)
        isHolding = true
        renewedAt = Clock.now()
        scheduleRenewal(after: renewalInterval)
    }

    /// Removes the addresses.
    ///
    /// When the kernel refuses, the lease ends them within seconds, since nobody renews any more.
    func release() {
        forget()
        do throws(VirtualAddressError) {
            try control.remove(addresses)
        } catch {
            logger.error("[\(label)] cannot release: \(error)")
        }
    }

    /// Stops renewing and leaves the addresses to their lease.
    func forget() {
        isHolding = false
        if let renewalTimer { loop.cancel(renewalTimer) }
        renewalTimer = nil
        if let healTimer { loop.cancel(healTimer) }
        healTimer = nil
    }

    /// Somebody may have removed the addresses: puts back what is missing.
    func check() {
        guard isHolding, healTimer == nil else { return }
        let allowedAt = healedAt + Self.healInterval
        guard Clock.now() < allowedAt else {
            heal()
            return
        }
        healTimer = loop.schedule(at: allowedAt) { [weak self] in
            self?.healTimer = nil
            _ = self?.owner?.addressKeeperWillRenew()
            self?.check()
        }
    }

    private func heal() {
        let missing = control.missing(among: addresses)
        guard !missing.isEmpty else { return }
        healedAt = Clock.now()
        do throws(VirtualAddressError) {
            try control.put(addresses, lease: lease)
        } catch {
            log("somebody removed a virtual address and it cannot be put back: \(error)")
            owner?.addressKeeperLost()
            return
        }
        renewedAt = healedAt
        counters.healedAddresses.add(UInt64(missing.count))
        owner?.addressKeeperPutBack()
        let names = missing.map(\.description).joined(separator: " ")
        log("somebody removed \(names) from this node: put back and announced")
    }

    private func scheduleRenewal(after delay: TimeSpan) {
        if let renewalTimer { loop.cancel(renewalTimer) }
        renewalTimer = loop.schedule(at: Clock.now() + delay) { [weak self] in
            self?.renewalTimer = nil
            self?.renew()
        }
    }

    private func renew() {
        let mayRenew = owner?.addressKeeperWillRenew() ?? true
        guard isHolding else { return }
        guard mayRenew else { return scheduleRenewal(after: Self.renewalRetryDelay) }
        let now = Clock.now()
        let silence = now - renewedAt
        let isLate = silence >= lease
        do throws(VirtualAddressError) {
            try control.put(addresses, lease: lease)
        } catch {
            counters.renewalFailures.add()
            log("cannot renew the addresses: \(error)")
            if isLate {
                owner?.addressKeeperLost()
            } else {
                scheduleRenewal(after: Self.renewalRetryDelay)
            }
            return
        }
        renewedAt = now
        counters.renewals.add()
        scheduleRenewal(after: renewalInterval)
        guard isLate else { return }
        // The kernel may have removed them in between, and neighbours may have given up.
        counters.lateRenewals.add()
        owner?.addressKeeperPutBack()
        log("renewed the addresses \(silence.milliseconds)ms after the last time")
    }

    private func log(_ text: String) {
        guard let suppressed = limiter.admit(now: Clock.now()) else { return }
        logger.warning("[\(label)] \(text)", ["suppressed": String(suppressed)])
    }
}
