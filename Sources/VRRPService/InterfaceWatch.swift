// SPDX-License-Identifier: Apache-2.0
//
// Interfaces by name, as they come, go and lose their carrier. Reads the kernel anew at each of its
// notifications; decides nothing.

import EventLoop
import LinuxIO
import NetlinkIO
import WireCore

/// Tells how some interfaces are, at first and whenever that changes.
final class InterfaceWatch: EventHandler {
    /// When a question that the kernel had no memory for is asked again.
    static let retryDelay = TimeSpan.seconds(1)

    private let names: [String]
    private let loop: EventLoop
    private let netlink: NetlinkSocket
    private let monitor: NetlinkMonitor
    private var source: EventSource?
    private var indexes: [String: Int] = [:]
    private var retryTimer: TimerID?
    private let report: (String, NetworkLink?) -> Void

    /// Subscribes; nothing is reported before ``start()``.
    ///
    /// - Parameters:
    ///   - names: the interfaces.
    ///   - loop: the loop of the calling thread.
    ///   - report: hears a name and its interface, `nil` when there is none.
    /// - Throws: when the kernel refuses a socket.
    init(
        names: [String], loop: EventLoop, report: @escaping (String, NetworkLink?) -> Void
    ) throws(NetlinkError) {
        self.names = names
        self.loop = loop
        self.report = report
        netlink = try NetlinkSocket()
        monitor = try NetlinkMonitor()
    }

    /// Reports every interface and goes on with changes.
    func start() throws(Errno) {
        source = try loop.add(monitor.descriptor, .readable, handler: self)
        reviewAll()
    }

    /// Ends the watch.
    func stop() {
        if let source { loop.remove(source, of: monitor.descriptor) }
        source = nil
        if let retryTimer { loop.cancel(retryTimer) }
        retryTimer = nil
    }

    /// The address this node would ask `target` from, on one interface.
    func ownAddress(towards target: IPAddress, on link: NetworkLink) -> IPAddress? {
        let present = (try? netlink.addresses(interfaceIndex: link.index)) ?? []
        let same = present.filter { $0.address.family == target.family }
        let near = same.first { found in
            let length = min(max(found.prefixLength, 0), target.bitWidth)
            return found.address.masked(prefixLength: length)
                == target.masked(prefixLength: length)
        }
        return (near ?? same.first)?.address
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        var changed: Set<String> = []
        for event in monitor.receive() {
            switch event {
            case .linkChanged(let index, let name, _, _), .linkRemoved(let index, let name):
                changed.formUnion(names.filter { $0 == name || indexes[$0] == index })
            case .overrun:
                changed.formUnion(names)
            case .addressAdded, .addressRemoved:
                break
            }
        }
        for name in names where changed.contains(name) { review(name) }
    }

    private func reviewAll() {
        for name in names { review(name) }
    }

    private func review(_ name: String) {
        do throws(NetlinkError) {
            let link = try netlink.link(named: name)
            indexes[name] = link.index
            report(name, link)
        } catch {
            // A question that failed for want of memory says nothing about the interface.
            guard error.isMissing else {
                reviewSoon()
                return
            }
            indexes[name] = nil
            report(name, nil)
        }
    }

    private func reviewSoon() {
        guard retryTimer == nil else { return }
        retryTimer = loop.schedule(after: Self.retryDelay) { [weak self] in
            self?.retryTimer = nil
            self?.reviewAll()
        }
    }
}
