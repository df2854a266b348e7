// SPDX-License-Identifier: Apache-2.0
//
// Goal: the hosts file answers without a server, the search list is used, and changes of both files
// are noticed. Method: files of the test's own.

import DNSIO
import EventLoop
import Glibc
import LinuxIO
import NameLaboratory
import Testing
import WireCore

/// A file that goes away with the test.
private final class TemporaryFile {
    let path: String

    init(_ text: String) throws {
        path = "/tmp/tandem-names-\(getpid())-\(UInt64.random(in: 0...(.max)))"
        try write(text)
    }

    deinit { unlink(path) }

    func write(_ text: String) throws {
        try FileSystem.write(Array(text.utf8), path: path)
    }
}

@Suite struct ResolverFilesTests {
    private static let hosts = """
        # comment
        10.0.0.7\tApp.Test app   # 10.0.0.8 other
          fd00::7 app.test\r
        not-an-address app.test
        10.0.0.9
        10.0.0.10 app.test
        """

    @Test func theHostsFileAnswersWithoutAServer() throws {
        let file = try TemporaryFile(Self.hosts)
        let scene = try Scene { $0.hostsPath = file.path }
        for name in ["app.test", "APP.TEST", "app.test."] {
            let lookup = try scene.host(name)
            guard case .records(let v4, _) = lookup.v4, case .records(let v6, _) = lookup.v6 else {
                Issue.record("no records")
                return
            }
            #expect(v4 == [Scene.v4(7), Scene.v4(10)])
            #expect(v6 == [Scene.v6(7)])
        }
        #expect(scene.server.queries.isEmpty)
        scene.server.host("other", [.a(1)])
        #expect(try scene.host("other").v4 == .records([Scene.v4(1)], ttl: .seconds(60)))
    }

    @Test func changesOfTheHostsFileAreNoticed() throws {
        let file = try TemporaryFile("10.0.0.1 app.test")
        let scene = try Scene { $0.hostsPath = file.path }
        _ = try scene.host("app.test")
        try file.write("10.0.0.2 app.test")
        let deadline = Clock.now() + .seconds(20)
        var lookup = try scene.host("app.test")
        while lookup.v4 != .records([Scene.v4(2)], ttl: .seconds(5)), Clock.now() < deadline {
            lookup = try scene.host("app.test")
        }
        #expect(lookup.v4 == .records([Scene.v4(2)], ttl: .seconds(5)))
    }

    @Test(arguments: ["localhost", "app.localhost."])
    func localhostIsNeverAskedFor(name: String) throws {
        let scene = try Scene()
        guard case .records(let v4, _) = try scene.host(name).v4 else {
            Issue.record("no records")
            return
        }
        #expect(v4 == [.v4(.loopback)])
        #expect(scene.server.queries.isEmpty)
    }

    @Test func shortNamesAreSearched() throws {
        let file = try TemporaryFile("search one.test two.test\n")
        let scene = try Scene { $0.serversPath = file.path }
        scene.server.host("app.two.test", [.a(2)])
        #expect(try scene.host("app").v4 == .records([Scene.v4(2)], ttl: .seconds(60)))
        #expect(scene.server.count("app.one.test", 1) == 1)
        // A last dot says that the name is complete.
        #expect(try scene.host("app.").v4 == .noSuchName)
    }

    @Test func aChangedSearchListIsNoticed() throws {
        let file = try TemporaryFile("search one.test\n")
        let scene = try Scene {
            $0.serversPath = file.path
            $0.serversAgeMax = .zero
        }
        scene.server.host("app.one.test", [.a(1)])
        scene.server.host("app.two.test", [.a(2)])
        scene.server.host("late.one.test", .silence)
        var late = 0
        scene.resolver.lookUpHost("late") { _ in late += 1 }
        #expect(try scene.host("app").v4 == .records([Scene.v4(1)], ttl: .seconds(60)))
        try file.write("search two.test\n")
        #expect(try scene.host("app").v4 == .records([Scene.v4(2)], ttl: .seconds(60)))
        #expect(late == 0)
    }
}
