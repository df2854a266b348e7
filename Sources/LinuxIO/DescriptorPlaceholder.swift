// SPDX-License-Identifier: Apache-2.0
//
// Descriptor numbers that nobody else may get: the kernel closes from the highest down at exit, so
// what must be closed last needs a number below all that come later.

internal import CLinux

/// Keeps one descriptor number occupied.
public final class DescriptorPlaceholder {
    private let descriptor: FileDescriptor

    private init() throws(Errno) {
        descriptor = FileDescriptor(
            owning: try SystemCall.retrying { tandem_open("/dev/null", O_RDONLY | O_CLOEXEC, 0) })
    }

    /// Occupies every free number below `limit`; they are free again when the objects are gone.
    public static func occupy(below limit: CInt) -> [DescriptorPlaceholder] {
        var placeholders: [DescriptorPlaceholder] = []
        while let next = try? DescriptorPlaceholder(), next.descriptor.rawValue < limit {
            placeholders.append(next)
        }
        return placeholders
    }
}
