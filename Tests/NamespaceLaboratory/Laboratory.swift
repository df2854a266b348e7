// SPDX-License-Identifier: Apache-2.0
//
// Network namespaces for tests. A synchronous test body stays on one thread, so the thread can be
// moved to a new namespace and back; the namespace dies with its last socket.

internal import Glibc
internal import LinuxIO

/// Namespaces and the commands that furnish them.
public enum Laboratory {
    /// A command that a test needs did not do its work.
    public struct Failure: Error, CustomStringConvertible {
        /// What did not work.
        public let description: String
    }

    /// Why tests of this kind are skipped.
    public static let needsRoot = "needs root: makes network namespaces and interfaces"

    /// True when namespaces can be made.
    public static var isRoot: Bool { geteuid() == 0 }

    /// Runs `body` in a new namespace with loopback up.
    public static func inNewNamespace(_ body: () throws -> Void) throws {
        let home = try NetworkNamespace.current()
        try NetworkNamespace.enterNew()
        defer { try? NetworkNamespace.enter(home) }
        try ip("link set lo up")
        try body()
    }

    /// Runs `ip` with words separated by blanks, in the calling thread's namespace.
    public static func ip(_ words: String) throws {
        let arguments = ["ip"] + words.split(separator: " ").map(String.init)
        var pointers = arguments.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var child: pid_t = 0
        let result = posix_spawnp(&child, "ip", nil, nil, pointers, environ)
        guard result == 0 else { throw Failure(description: "cannot run ip") }
        var status: CInt = 0
        guard waitpid(child, &status, 0) == child, status == 0 else {
            throw Failure(description: "ip \(words) failed")
        }
    }
}
