// SPDX-License-Identifier: Apache-2.0
//
// The memory of the process as the system sees it.

internal import CLinux

/// The memory of this process.
public enum ProcessMemory {
    /// Returns freed memory that the allocator keeps (malloc_trim).
    ///
    /// Takes milliseconds when there is much of it: for after an overload, not for every request.
    public static func giveBack() {
        malloc_trim(0)
    }
}
