// SPDX-License-Identifier: Apache-2.0
//
// Network namespaces of single threads. A socket stays in the namespace it was opened in.

internal import CLinux

/// The network namespace of the calling thread (network_namespaces(7)).
public enum NetworkNamespace {
    /// Moves the calling thread, and no other, to a new and empty namespace (unshare).
    ///
    /// - Throws: EPERM without CAP_SYS_ADMIN.
    public static func enterNew() throws(Errno) {
        try SystemCall.retrying { unshare(TANDEM_CLONE_NEWNET) }
    }

    /// A handle for the namespace of the calling thread; it lives while the handle is open.
    public static func current() throws(Errno) -> FileDescriptor {
        FileDescriptor(
            owning: try SystemCall.retrying {
                tandem_open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC, 0)
            })
    }

    /// Moves the calling thread to another namespace (setns).
    public static func enter(_ namespace: borrowing FileDescriptor) throws(Errno) {
        let number = namespace.rawValue
        try SystemCall.retrying { setns(number, TANDEM_CLONE_NEWNET) }
    }
}
