// SPDX-License-Identifier: Apache-2.0
//
// A second owner for what a C library has open.

internal import CLinux

extension FileDescriptor {
    /// Opens a second descriptor for what `number` refers to (fcntl F_DUPFD_CLOEXEC).
    ///
    /// - Throws: EMFILE when the process has no descriptor left.
    public init(duplicating number: CInt) throws(Errno) {
        self.init(
            owning: try SystemCall.retrying { tandem_fcntl_int(number, F_DUPFD_CLOEXEC, 0) })
    }
}
