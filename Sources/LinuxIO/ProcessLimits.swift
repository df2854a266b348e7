// SPDX-License-Identifier: Apache-2.0
//
// What the process may use: descriptors and locked memory.

internal import CLinux

/// Limits and privileges of the process.
public enum ProcessLimits {
    /// Raises the soft limit of open descriptors to the hard limit (setrlimit RLIMIT_NOFILE).
    ///
    /// - Returns: the number of descriptors the process may have open.
    public static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard tandem_get_descriptor_limit(&limit) == 0 else { return 1_024 }
        limit.rlim_cur = limit.rlim_max
        if tandem_set_descriptor_limit(&limit) != 0 { _ = tandem_get_descriptor_limit(&limit) }
        return Int(clamping: limit.rlim_cur)
    }

    /// Keeps present and future pages in memory (mlockall MCL_CURRENT | MCL_FUTURE |
    /// MCL_ONFAULT: only pages that are used).
    ///
    /// - Throws: EPERM or ENOMEM without CAP_IPC_LOCK.
    public static func lockMemory() throws(Errno) {
        let onFault: CInt = 4
        try SystemCall.retrying { mlockall(CInt(MCL_CURRENT) | CInt(MCL_FUTURE) | onFault) }
    }

    /// The process id.
    public static var processID: Int { Int(getpid()) }

    /// Ends the process without running destructors of other threads' data (_exit).
    public static func exit(code: Int32) -> Never {
        _exit(code)
    }
}

/// Which numbers the descriptors get whose order of closing is a last will.
///
/// On exit the kernel releases files from the highest number down (observed, not promised; the
/// self-test proves it on the running kernel). So the pair-link listener goes first, then the link,
/// then the sockets that listen for clients: those whose connection waits to be accepted, which no
/// peer can know of, are reset while the address still stands. Then the TUN with the virtual
/// addresses goes, and the client sockets below come last: when their FINs would leave, their
/// source address is gone.
public struct DescriptorPlan: Hashable, Sendable {
    /// Numbers kept for sockets that listen for clients; more sockets get ordinary numbers.
    public static let clientListenerCountMax = 256
    /// The table is grown to the planned numbers, so they stay modest (8 bytes each).
    public static let numberMax = 65_535

    /// The pair-link listener: closed first, so that a later dial is refused.
    public let listener: CInt
    /// The dialled pair link: closed second, the peer reads the end of the stream.
    public let link: CInt
    /// The sockets that listen for clients: closed third.
    public let clientListeners: Range<CInt>
    /// The TUN device: closed fourth, the virtual addresses go with it.
    public let tunnel: CInt

    /// Plans for a process that may have `limit` descriptors open; below 64 there is no room.
    public init?(descriptorLimit limit: Int) {
        guard limit >= 64 else { return nil }
        let top = CInt(min(limit - 1, Self.numberMax))
        listener = top
        link = top - 1
        let count = CInt(min(Self.clientListenerCountMax, limit / 8))
        clientListeners = (link - count)..<link
        tunnel = clientListeners.lowerBound - 1
    }

    /// Descriptors left for everything else.
    public var ordinaryCount: Int { Int(tunnel) }
}
