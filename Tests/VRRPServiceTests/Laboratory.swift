// SPDX-License-Identifier: Apache-2.0
//
// Network namespaces for tests. A synchronous test body stays on one thread, so the thread can be
// moved to a new namespace and back; the namespace dies with its last socket.

import Glibc
import LinuxIO
import Testing

/// Namespaces and the commands that furnish them.
enum Laboratory {
    /// Why tests of this kind are skipped.
    static let needsRoot: Comment = "needs root: makes network namespaces and interfaces"

    static var isRoot: Bool { geteuid() == 0 }

    /// Runs `body` in a new namespace with loopback up.
    static func inNewNamespace(_ body: () throws -> Void) throws {
        let home = try NetworkNamespace.current()
        try NetworkNamespace.enterNew()
        defer { try? NetworkNamespace.enter(home) }
        try ip("link set lo up")
        try body()
    }

    /// Runs `ip` with words separated by blanks, in the calling thread's namespace.
    static func ip(_ words: String) throws {
        let arguments = ["ip"] + words.split(separator: " ").map(String.init)
        var pointers = arguments.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var child: pid_t = 0
        let result = posix_spawnp(&child, "ip", nil, nil, pointers, environ)
        try #require(result == 0, "cannot run ip")
        var status: CInt = 0
        try #require(waitpid(child, &status, 0) == child)
        try #require(status == 0, "ip \(words) failed")
    }
}
