// SPDX-License-Identifier: Apache-2.0
//
// Waits on the control thread until the connections of addresses that have moved are gone. The
// kernel is asked and not the workers: what a worker has closed may still be on its way.

internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import Telemetry
internal import WireCore

/// Lets connections end, and ends the rest when the time is over.
final class HandoverDrain {
    /// The shortest time between two looks at the kernel's tables.
    static let lookIntervalMin = TimeSpan.milliseconds(10)
    /// The rest between two looks is this many times what a look takes, up to a limit: on a busy
    /// machine most of that time may have been another program's.
    static let restFactor: UInt64 = 20
    static let restMax = TimeSpan.milliseconds(250)

    private let loop: EventLoop
    private let dataPlane: DataPlane
    private let logger: Logger
    private let diagnosis: SocketDiagnosis?
    private let addresses: Set<IPAddress>
    private let deadline: Instant
    private let isMoving: Bool
    /// Connections moved before this drain.
    private let movedBefore: UInt64
    private let completion: (HandoverConnections) -> Void
    private var seenMax = 0
    private var isOver = false
    private var timer: TimerID?

    /// Begins.
    ///
    /// With `isMoving` the other node takes connections as soon as it has the addresses; somebody
    /// says so with ``peerHasAddresses()``.
    init(
        of addresses: [IPAddress], until deadline: Instant, isMoving: Bool, loop: EventLoop,
        dataPlane: DataPlane, logger: Logger,
        completion: @escaping (HandoverConnections) -> Void
    ) {
        self.loop = loop
        self.dataPlane = dataPlane
        self.logger = logger
        self.addresses = Set(addresses)
        self.deadline = deadline
        self.isMoving = isMoving
        movedBefore = dataPlane.carryOverStatistics.moved
        self.completion = completion
        do throws(Errno) {
            diagnosis = try SocketDiagnosis()
        } catch {
            diagnosis = nil
            logger.warning(
                "connections of the addresses cannot be listed", ["error": error.description])
        }
        dataPlane.beginParting(moving: isMoving)
        look()
    }

    /// Connections may go there now.
    func peerHasAddresses() {
        guard isMoving, !isOver else { return }
        dataPlane.moveClients()
    }

    /// Ends what is left now.
    func cut() {
        end(openConnections())
    }

    /// Forgets the drain; clients may stay.
    func stop() {
        guard !isOver else { return }
        isOver = true
        if let timer { loop.cancel(timer) }
        dataPlane.endParting()
    }

    private func look() {
        timer = nil
        guard !isOver else { return }
        let began = Clock.now()
        let open = openConnections()
        seenMax = max(seenMax, open.count)
        guard !open.isEmpty, began < deadline else { return end(open) }
        let effort = Clock.now() - began
        let rest = min(
            max(Self.lookIntervalMin, effort.multiplied(by: Self.restFactor)), Self.restMax)
        let next = min(began + rest, deadline)
        timer = loop.schedule(at: next) { [weak self] in self?.look() }
    }

    private func openConnections() -> [KernelConnection] {
        switch diagnosis {
        case .some(let diagnosis):
            return ((try? diagnosis.connections(of: addresses)) ?? []).filter(\.isOpen)
        case nil:
            return []
        }
    }

    private func end(_ open: [KernelConnection]) {
        guard !isOver else { return }
        stop()
        switch diagnosis {
        case .some(let diagnosis):
            // With a reset, while the addresses are here to send it from.
            for connection in open { try? diagnosis.end(connection) }
        case nil:
            break
        }
        let all = max(seenMax, open.count)
        let moved = UInt32(clamping: dataPlane.carryOverStatistics.moved &- movedBefore)
        completion(
            HandoverConnections(
                ended: UInt32(clamping: max(0, all - open.count - Int(moved))),
                cut: UInt32(clamping: open.count), moved: moved))
    }
}
