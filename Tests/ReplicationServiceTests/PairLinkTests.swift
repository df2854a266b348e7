// SPDX-License-Identifier: Apache-2.0
//
// Goal: two real pair links over loopback hear each other, part in each of the ways they can, and
// refuse each other when they must. Method: both on one loop, every wait with a deadline.

import EventLoop
import Glibc
import LinuxIO
import ReplicationCore
import ReplicationService
import Telemetry
import Testing
import WireCore

@Suite struct PairLinkTests {
    let bench = LinkBench()

    @Test func nodesHearEachOther() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let right = try TestNode(bench.rightSettings(secret: try secret(7)), on: loop)
        left.report.routers = [VirtualRouterReport(id: 51, role: .active)]
        left.report.configurationHash = 2
        #expect(eventually(loop) { left.heard != nil && right.heard != nil })
        #expect(left.events == [.up])
        #expect(right.events == [.up])
        #expect(
            eventually(loop) {
                left.link.status.dial == .established && right.link.status.dial == .established
            })
        let status = right.link.status
        #expect(status.isUp && status.isAuthenticated && status.peerName == "lb1")
        #expect(status.lastHeartbeat?.routers == [VirtualRouterReport(id: 51, role: .active)])
        #expect(status.isConfigurationEqual == false)
        #expect(status.lastHeardAt != nil)

        right.report.configurationHash = 2
        #expect(eventually(loop) { right.link.status.isConfigurationEqual == true })
        #expect(eventually(loop) { left.count(.heartbeatsReceived) > 5 })
        #expect(left.count(.linkDowns) == 0)
        left.link.stop()
        right.link.stop()
    }

    @Test func aDoubtfulNodeIsAnsweredAtOnceAndNotBeforeItWasHeard() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var settings = (bench.leftSettings(), bench.rightSettings())
        // Nothing but the answer comes in time.
        settings.0.heartbeatInterval = .seconds(60)
        settings.1.heartbeatInterval = .seconds(60)
        let left = try TestNode(settings.0, on: loop)
        let right = try TestNode(settings.1, on: loop)
        #expect(eventually(loop) { left.heard != nil && right.heard != nil })
        let askedAt = Clock.now()
        #expect((left.heard?.answeredAt ?? Instant(nanoseconds: 0)) < askedAt)
        left.report.routers = [
            VirtualRouterReport(
                id: 51, role: .active, priority: 200, isDoubtful: true, claimMark: 1)
        ]
        var wasHeard = false
        right.onHeard = { heartbeat in
            guard heartbeat.routers.contains(where: \.isDoubtful) else { return }
            // What is said before the owner has acted is no answer.
            right.link.beat()
            right.report.routers[0].priority = 77
            right.report.routers[0].claimMark = 5
            wasHeard = true
        }
        var answers: [Heartbeat] = []
        left.onHeard = { answers.append($0) }
        left.link.beat()
        #expect(
            eventually(loop) {
                answers.contains { ($0.answeredAt ?? Instant(nanoseconds: 0)) >= askedAt }
            })
        #expect(wasHeard)
        for answer in answers {
            let isAnswer = (answer.answeredAt ?? Instant(nanoseconds: 0)) >= askedAt
            #expect(isAnswer == (answer.routers.first?.claimMark == 5))
        }
        left.link.stop()
        right.link.stop()
    }

    @Test func nodesWithoutSecretHearEachOtherAndSaySo() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let right = try TestNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { left.link.status.isUp && right.link.status.isUp })
        #expect(!left.link.status.isAuthenticated)
    }

    /// Fast heartbeats stand for adverts.
    ///
    /// The peer's rule for silence stays with the configured
    /// interval: going back to it, or a fast one that is late, is no silence.
    @Test func beatsMayBeFasterThanConfiguredWithoutChangingWhatSilenceMeans() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var leftSettings = bench.leftSettings()
        var rightSettings = bench.rightSettings()
        leftSettings.heartbeatInterval = .milliseconds(200)
        rightSettings.heartbeatInterval = .milliseconds(200)
        let left = try TestNode(leftSettings, on: loop)
        let right = try TestNode(rightSettings, on: loop)
        #expect(eventually(loop) { left.heard != nil && right.heard != nil })

        left.link.beat(every: .milliseconds(10))
        let begin = Clock.now()
        let fast = right.count(.heartbeatsReceived)
        #expect(eventually(loop) { right.count(.heartbeatsReceived) >= fast + 50 })
        // 50 heartbeats at the configured interval would take ten seconds.
        #expect(Clock.now() - begin < .seconds(4))

        left.link.beat(every: nil)
        let slow = right.count(.heartbeatsReceived)
        let slowBegin = Clock.now()
        _ = loop.run(until: slowBegin + .milliseconds(900)) { false }
        #expect((2...6).contains(right.count(.heartbeatsReceived) - slow))
        #expect(right.events == [.up], "silence of 200 ms at a former rate of 10 ms is none")
        left.link.stop()
        right.link.stop()
    }

    @Test func beatsAreNeverSlowerThanConfiguredNorFasterThanTheLimit() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let right = try TestNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { left.heard != nil && right.heard != nil })
        left.link.beat(every: .seconds(60))
        let count = right.count(.heartbeatsReceived)
        #expect(eventually(loop) { right.count(.heartbeatsReceived) > count + 5 })
        left.link.beat(every: .microseconds(1))
        let before = right.count(.heartbeatsReceived)
        _ = loop.run(until: Clock.now() + .milliseconds(200)) { false }
        #expect(right.count(.heartbeatsReceived) - before <= 21)
        #expect(right.events == [.up])
        left.link.stop()
        right.link.stop()
    }

    /// A node that was frozen must not say once more that it is active.
    ///
    /// So it looks first, and what it notices may well make it beat at once and at another rate.
    @Test func theOwnerMayNoticeWhatItIsBeforeEachHeartbeat() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let right = try TestNode(bench.rightSettings(), on: loop)
        left.report.routers = [VirtualRouterReport(id: 51, role: .active)]
        left.link.beat(every: .milliseconds(10))
        #expect(eventually(loop) { right.heard?.routers.first?.role == .active })

        var looks: UInt64 = 0
        left.onWillBeat = {
            looks += 1
            guard looks == 1 else { return }
            left.report.routers = [VirtualRouterReport(id: 51, role: .backup)]
            left.link.beat(every: nil)
            left.link.beat()
        }
        let count = right.count(.heartbeatsReceived)
        #expect(eventually(loop) { looks == 1 })
        #expect(eventually(loop) { right.count(.heartbeatsReceived) > count })
        #expect(right.heard?.routers.first?.role == .backup)
        // One timer is left, at the configured rate: 20 ms.
        let begin = Clock.now()
        looks = 1
        #expect(eventually(loop) { looks >= 21 })
        #expect(Clock.now() - begin >= .milliseconds(350))
        left.link.stop()
        right.link.stop()
    }

    @Test func roleChangeIsHeardBeforeTheNextInterval() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var settings = bench.leftSettings()
        settings.heartbeatInterval = .seconds(60)
        let left = try TestNode(settings, on: loop)
        let right = try TestNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { right.heard != nil })
        left.report.routers = [VirtualRouterReport(id: 51, role: .active)]
        left.link.beat()
        #expect(eventually(loop) { right.heard?.routers.first?.role == .active })
    }

    @Test func goodbyeIsALeaveAndNotADeath() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let right = try TestNode(bench.rightSettings(secret: try secret(7)), on: loop)
        #expect(eventually(loop) { left.link.status.isUp && right.link.status.isUp })
        #expect(eventually(loop) { right.link.status.dial == .established })
        right.link.leave()
        #expect(eventually(loop) { left.events.contains(.left) })
        #expect(left.events == [.up, .left])
        #expect(left.link.status.downReason == .goodbye)
        #expect(left.count(.probes) == 0)
    }

    @Test func stoppedLinkIsAFaultAndNotADeath() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let right = try TestNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { left.link.status.isUp && right.link.status.isUp })
        let dials = left.count(.dialsFailed)
        right.link.stop()
        #expect(eventually(loop) { left.events.contains(.down(.reset)) })
        #expect(eventually(loop) { left.count(.dialsFailed) > dials + 1 })
        #expect(!left.events.contains(.died))
    }

    /// The descriptors of a node with its own loop are released in the order of their numbers'
    /// importance, as the kernel does it: listener, then link.
    @Test func nodeThatVanishesIsCertifiedDead() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let fake = try FakePeer(bench, on: loop, secret: try secret(7))
        let (connection, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        fake.closeListener()
        connection.close()
        #expect(eventually(loop) { left.events.contains(.died) })
        #expect(left.events == [.up, .down(.endOfStream), .died])
        #expect(left.count(.deathCertificates) == 1)

        // The peer comes back, and dies again.
        let again = try FakePeer(bench, on: loop, secret: try secret(7))
        let (second, _) = try again.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        again.closeListener()
        second.close()
        #expect(eventually(loop) { left.count(.deathCertificates) == 2 })
    }

    @Test func linkMayBeLeftFromWithinTheCertificate() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        left.onEvent = { [unowned left] event in if event == .died { left.link.leave() } }
        let fake = try FakePeer(bench, on: loop)
        let (connection, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        fake.closeListener()
        connection.close()
        #expect(eventually(loop) { left.events.contains(.died) })
        #expect(left.link.status.dial == .idle)
    }

    @Test func wrongSecretIsRefusedCountedAndRetriedSlowly() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let right = try TestNode(bench.rightSettings(secret: try secret(8)), on: loop)
        let refused = LinkStatus.Dial.refused(.refusedByPeer(.wrongSecret))
        #expect(
            eventually(loop) {
                left.link.status.dial == refused && right.link.status.dial == refused
            })
        #expect(eventually(loop) { left.count(.refusedSecret) >= 2 })
        #expect(left.link.status.lastInboundRefusal == .wrongSecret)
        // 100 ms and more between attempts, halved at most by jitter.
        #expect(left.count(.dials) < 10)
        #expect(left.events.isEmpty && right.events.isEmpty)
    }

    @Test func secretOnOneSideOnlyIsRefusedClearly() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let right = try TestNode(bench.rightSettings(), on: loop)
        #expect(
            eventually(loop) {
                left.link.status.dial == .refused(.refusedByPeer(.acceptorHasNoSecret))
                    && right.link.status.dial == .refused(.refusedByPeer(.diallerHasNoSecret))
            })
        #expect(left.count(.refusedOneSidedSecret) > 0)
        #expect(left.events.isEmpty && right.events.isEmpty)
    }

    @Test func refusalBeforeAnyLinkIsNoCertificate() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        #expect(eventually(loop) { left.count(.dialsFailed) >= 3 })
        #expect(left.events.isEmpty)
        #expect(left.link.status.downReason == .neverUp)
        #expect(left.link.status.dial == .waiting || left.link.status.dial == .dialling)
    }

    @Test func peerThatStartsLaterIsFoundByItsOwnDial() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        #expect(eventually(loop) { left.count(.dialsFailed) >= 3 })
        let right = try TestNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { left.link.status.isUp && right.link.status.isUp })
    }

    @Test func occupiedAddressFailsTheStart() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let holder = try FakePeer(bench, on: loop)
        #expect(throws: Errno.addressInUse) {
            _ = try TestNode(bench.rightSettings(), on: loop)
        }
        holder.closeListener()
    }

    /// The numbers decide the order in which the kernel closes them: DescriptorPlan says why.
    @Test func listenerAndEveryDialledLinkLieAtTheirPlannedNumbers() throws {
        let limit = ProcessLimits.raiseDescriptorLimit()
        let plan = try #require(DescriptorPlan(descriptorLimit: limit))
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(descriptors: plan), on: loop)
        let right = try TestNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { left.link.status.dial == .established })
        let before = (socketName(plan.listener), socketName(plan.link))
        #expect(before.0 != nil && before.1 != nil && before.0 != before.1)

        right.link.stop()
        #expect(eventually(loop) { left.link.status.dial != .established })
        let again = try TestNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { left.link.status.dial == .established })
        let after = (socketName(plan.listener), socketName(plan.link))
        #expect(after.0 == before.0)
        #expect(after.1 != nil && after.1 != before.1)
        #expect(eventually(loop) { again.link.status.isUp })

        left.link.stop()
        #expect(socketName(plan.listener) == nil && socketName(plan.link) == nil)
    }

    /// What /proc says a descriptor number of this process is: "socket:[inode]".
    private func socketName(_ number: CInt) -> String? {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/self/fd/\(number)", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let name = buffer.prefix(count).map { UInt8(bitPattern: $0) }
        return String(validating: name, as: UTF8.self).flatMap {
            $0.hasPrefix("socket:") ? $0 : nil
        }
    }

    @Test func countersBecomeMetrics() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        #expect(eventually(loop) { left.count(.dials) >= 1 })
        var text = MetricsText()
        left.link.counters.collect(into: &text)
        #expect(text.rendered.contains("tandem_pair_link_events_total{event=\"dials\"} "))
        #expect(text.rendered.contains("{event=\"death_certificates\"} 0"))
    }
}
