// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever arrives on the pair-link port, nothing but the rule of the death certificate makes
// one, and a good link stays. Method: raw sockets from the peer's address and from elsewhere.

import ConfigurationCore
import EventLoop
import LinuxIO
import ReplicationCore
import ReplicationService
import Testing
import WireCore

@Suite struct HostilePeerTests {
    let bench = LinkBench()

    @Test func endOfStreamOfALivingPeerIsNoDeath() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let fake = try FakePeer(bench, on: loop)
        let (connection, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        connection.close()
        #expect(eventually(loop) { left.count(.probesAlive) == 1 })
        #expect(left.events == [.up, .down(.endOfStream)])
        fake.closeListener()
    }

    @Test func resetIsNoDeathEvenWhenThePeerRefuses() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let fake = try FakePeer(bench, on: loop)
        let (connection, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        fake.closeListener()
        connection.close(reset: true)
        #expect(eventually(loop) { left.events.contains(.down(.reset)) })
        let failures = left.count(.dialsFailed)
        #expect(eventually(loop) { left.count(.dialsFailed) > failures + 1 })
        #expect(left.events == [.up, .down(.reset)])
        #expect(left.count(.probes) == 0)
    }

    @Test func endOfAnUnauthenticatedConnectionIsNoDeath() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let fake = try FakePeer(bench, on: loop)
        #expect(throws: LinkHandshakeFailure.refusedByPeer(.diallerHasNoSecret)) {
            try fake.establish()
        }
        let silent = try fake.connect()
        fake.closeListener()
        silent.close()
        #expect(eventually(loop) { left.count(.endedBeforeHello) == 1 })
        let failures = left.count(.dialsFailed)
        #expect(eventually(loop) { left.count(.dialsFailed) > failures + 1 })
        #expect(left.events.isEmpty)
    }

    @Test func silenceIsLinkDownAndHeartbeatsBringItBack() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let fake = try FakePeer(bench, on: loop)
        var (connection, sender) = try fake.establish()
        #expect(eventually(loop) { left.events == [.up, .down(.silent)] })
        connection.send(sender.seal(FakePeer.heartbeat))
        #expect(eventually(loop) { left.events == [.up, .down(.silent), .up] })
        // A frozen peer that is killed after all.
        #expect(eventually(loop) { left.events.last == .down(.silent) })
        fake.closeListener()
        connection.close()
        #expect(eventually(loop) { left.events.last == .died })
        #expect(left.count(.linkDowns) == 2)
    }

    @Test func forgedGoodbyeClosesTheLinkAndIsNoLeave() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let fake = try FakePeer(bench, on: loop, secret: try secret(7))
        let (connection, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        let forged = SealedLinkFrame(
            type: SealedLinkFrame.goodbyeType, sequence: 1, payload: [],
            tag: [UInt8](repeating: 0, count: LinkProtocol.tagByteCount))
        connection.send(LinkFrameEncoder.encode(.sealed(forged)))
        #expect(eventually(loop) { left.events == [.up, .down(.fault)] })
        #expect(left.count(.forgedFrames) == 1)
        fake.closeListener()
        connection.close()
    }

    @Test func newerLinkReplacesTheOlderOne() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let fake = try FakePeer(bench, on: loop)
        let (older, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        let (newer, sender) = try fake.establish()
        #expect(
            eventually(loop) {
                _ = try? older.poll()
                return older.isEnded
            })
        #expect(left.count(.probes) == 0)
        var goodbye = sender
        newer.send(goodbye.sealGoodbye())
        newer.close()
        #expect(eventually(loop) { left.events.contains(.left) })
    }

    @Test func burstsAreTakenToTheLastFrame() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var settings = bench.leftSettings()
        // No timer of the link's own shall help.
        settings.heartbeatInterval = .seconds(60)
        let left = try TestNode(settings, on: loop)
        let fake = try FakePeer(bench, on: loop)
        var (connection, sender) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        // One read takes them all, one event does not: what is left lies in memory, where no
        // readiness shows it.
        var burst: [UInt8] = []
        while burst.count < 3_900 { burst += sender.seal(FakePeer.heartbeat) }
        #expect(sender.nextSequence > 70)
        connection.send(burst)
        #expect(eventually(loop) { left.count(.heartbeatsReceived) == sender.nextSequence })
        // Another burst with the end right behind it.
        burst = []
        for _ in 0..<200 { burst += sender.seal(FakePeer.heartbeat) }
        let heartbeats = sender.nextSequence
        burst += sender.sealGoodbye()
        connection.send(burst)
        connection.close()
        #expect(eventually(loop) { left.events.contains(.left) })
        #expect(left.count(.heartbeatsReceived) == heartbeats)
    }

    /// Timers of a turn run before its descriptors: silence must not be judged by that order.
    @Test func heartbeatThatWaitsInTheSocketIsNoSilence() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var settings = bench.leftSettings()
        settings.heartbeatInterval = .milliseconds(100)
        let left = try TestNode(settings, on: loop)
        let fake = try FakePeer(bench, on: loop)
        var (connection, sender) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        connection.send(sender.seal(FakePeer.heartbeat))
        // This thread is busy elsewhere until silence is due, but not so long that the machine
        // would blame this node itself.
        let due = try #require(left.link.status.lastHeardAt) + .milliseconds(300)
        while Clock.now() < due + .milliseconds(20) {}
        #expect(eventually(loop) { left.count(.heartbeatsReceived) == 2 })
        #expect(left.events == [.up])
    }

    @Test func garbageIsClosedAndCountedWhileTheGoodLinkStays() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let right = try TestNode(bench.rightSettings(secret: try secret(7)), on: loop)
        #expect(eventually(loop) { left.link.status.isUp && right.link.status.isUp })
        var generator = SeededGenerator(seed: 99)
        let samples: [[UInt8]] = [
            Array("GET / HTTP/1.1\r\n\r\n".utf8), [0, 0, 0, 0], [0, 2, 2, 0],
            LinkFrameEncoder.encode(.proof([UInt8](repeating: 1, count: 32))),
            LinkFrameEncoder.encode(.refused(.wrongSecret)),
            [0, 2, 9, 9],
        ]
        var closed: UInt64 { left.count(.malformedFrames) + left.count(.unexpectedFrames) }
        for round in 0..<60 {
            let connection = try RawConnection(
                from: bench.right.address, to: bench.endpoint(of: bench.left))
            var bytes = samples[round % samples.count]
            bytes += (0..<3_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(eventually(loop) { connection.send(bytes) })
            #expect(
                eventually(loop) {
                    _ = try? connection.poll()
                    return connection.isEnded
                })
        }
        #expect(closed + left.count(.refusedVersion) == 60)
        let heartbeats = left.count(.heartbeatsReceived)
        #expect(eventually(loop) { left.count(.heartbeatsReceived) > heartbeats + 2 })
        #expect(left.events == [.up] && right.events == [.up])
    }

    @Test func silentConnectionsCannotKeepThePeerOut() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        var silent: [RawConnection] = []
        let fake = try FakePeer(bench, on: loop)
        for _ in 0..<20 { silent.append(try fake.connect()) }
        let (connection, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        #expect(left.count(.rejectedPending) == 13)
        // The rest is closed when its deadline passes, with the reason.
        var last: LinkFrame?
        #expect(
            eventually(loop) {
                last = (try? silent[19].poll()) ?? last
                return silent[19].isEnded
            })
        #expect(last == .refused(.deadline))
        #expect(left.count(.refusedDeadline) == 7)
        connection.close()
    }

    @Test func strangersAreRejectedByAddress() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let stranger = try RawConnection(
            from: bench.stranger, to: bench.endpoint(of: bench.left))
        #expect(
            eventually(loop) {
                _ = try? stranger.poll()
                return stranger.isEnded
            })
        #expect(left.count(.rejectedAddress) == 1)
        #expect(left.events.isEmpty)
    }

    /// A peer whose accepting side writes after the handshake would endanger the certificate.
    @Test func acceptorThatWritesIsDropped() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let fake = try FakePeer(bench, on: loop)
        let left = try TestNode(bench.leftSettings(), on: loop)
        let connection = try fake.acceptAndShakeHands()
        #expect(eventually(loop) { left.link.status.dial == .established })
        connection.send(LinkFrameEncoder.encode(.refused(.wrongSecret)))
        #expect(eventually(loop) { left.count(.unexpectedBytes) == 1 })
        #expect(
            eventually(loop) {
                _ = try? connection.poll()
                return connection.isEnded
            })
        #expect(left.events.isEmpty)
    }

    /// The listener of a dying process may outlive its link by a moment.
    @Test func listenerThatClosesLateIsStillADeath() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try TestNode(bench.leftSettings(), on: loop)
        let fake = try FakePeer(bench, on: loop)
        let (connection, _) = try fake.establish()
        #expect(eventually(loop) { left.link.status.isUp })
        // The link is reported as down right after the probe's SYN was sent and answered.
        left.onEvent = { event in
            if event == .down(.endOfStream) { fake.closeListener() }
        }
        connection.close()
        #expect(eventually(loop) { left.events.contains(.died) })
        #expect(left.count(.probes) == 2)
    }

    @Test func heartbeatsThatAPeerDoesNotReadAreSkipped() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let fake = try FakePeer(bench, on: loop)
        var settings = bench.leftSettings()
        // A full socket ends the link after a few intervals, and filling it takes its time.
        settings.heartbeatInterval = .seconds(60)
        let left = try TestNode(settings, on: loop)
        let connection = try fake.acceptAndShakeHands()
        #expect(eventually(loop) { left.link.status.dial == .established })
        left.report.routers = (1...255).map { VirtualRouterReport(id: $0, role: .backup) }
        for _ in 0..<50_000 where left.count(.heartbeatsSkipped) == 0 { left.link.beat() }
        #expect(left.count(.heartbeatsSkipped) > 0)
        // Once the peer reads again, numbers go on without a gap. Checked on raw bytes: there are
        // thousands of frames, and an unoptimised decoder would take seconds.
        let sent = left.count(.heartbeatsSent)
        var stream: [UInt8] = []
        var offset = 0
        var sequence: UInt64 = 0
        #expect(
            eventually(loop) {
                left.link.beat()
                stream += connection.takeBytes()
                while offset + 12 <= stream.count {
                    let length = Int(stream[offset]) << 8 | Int(stream[offset + 1])
                    let number = stream[(offset + 4)..<(offset + 12)].reduce(UInt64(0)) {
                        $0 << 8 | UInt64($1)
                    }
                    guard number == sequence else { return false }
                    sequence += 1
                    offset += 2 + length
                }
                return sequence > sent + 2
            })
    }
}
