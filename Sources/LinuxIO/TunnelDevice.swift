// SPDX-License-Identifier: Apache-2.0
//
// A TUN interface that lives exactly as long as its owner: the anchor of virtual addresses.
// Addresses on it are netlink's business.

internal import CLinux

/// A non-persistent TUN interface; the kernel removes it and its addresses with the descriptor.
public struct TunnelDevice: ~Copyable {
    /// Packets thrown away per call: the bound on work per wake-up.
    public static let packetsPerDrainMax = 64
    /// Path of the device.
    public static let path = "/dev/net/tun"

    /// Readable while the kernel routes packets into the device.
    public let descriptor: FileDescriptor
    /// The interface's name.
    public let name: String

    /// Makes an interface in the calling thread's network namespace (TUNSETIFF).
    ///
    /// - Parameters:
    ///   - pattern: the name; `%d` stands for the first free number. At most 15 bytes.
    ///   - number: the descriptor number to keep it at, see `DescriptorPlan`; `nil` for any.
    /// - Throws: EPERM without CAP_NET_ADMIN, ENOENT without the device, EBUSY for a name in use.
    public init(pattern: String = "tandem%d", number: CInt? = nil) throws(Errno) {
        let opened = try SystemCall.retrying {
            tandem_open(Self.path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0)
        }
        let device = FileDescriptor(owning: opened)
        let given = try Self.attach(device, pattern)
        descriptor = try device.moved(to: number ?? opened)
        name = given
    }

    /// Why the device cannot be opened by this process; `nil` when it can.
    public static func problem() -> Errno? {
        do throws(Errno) {
            let number = try SystemCall.retrying { tandem_open(path, O_RDWR | O_CLOEXEC, 0) }
            _ = FileDescriptor(owning: number)
            return nil
        } catch {
            return error
        }
    }

    private static func attach(
        _ device: borrowing FileDescriptor, _ pattern: String
    ) throws(Errno) -> String {
        let bytes = Array(pattern.utf8)
        guard !bytes.isEmpty, bytes.count < Int(IFNAMSIZ) else { throw Errno(code: ENAMETOOLONG) }
        let number = device.rawValue
        // struct ifreq: 16 bytes of name, then a union that begins with the flags.
        var request = ifreq()
        withUnsafeMutableBytes(of: &request) { memory in
            memory.copyBytes(from: bytes)
            memory.storeBytes(
                of: Int16(IFF_TUN | IFF_NO_PI), toByteOffset: Int(IFNAMSIZ), as: Int16.self)
        }
        try SystemCall.retrying { tandem_ioctl_pointer(number, TANDEM_TUNSETIFF, &request) }
        return withUnsafeBytes(of: &request) { memory in
            String(decoding: memory.prefix(Int(IFNAMSIZ)).prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// Throws away what the kernel routed into the device, at most `packetsPerDrainMax` packets.
    ///
    /// - Returns: false when the interface is gone although the descriptor is open.
    public borrowing func drain() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 2_048, alignment: 8) { buffer in
            for _ in 0..<Self.packetsPerDrainMax {
                do throws(Errno) {
                    if case .wouldBlock = try descriptor.read(into: buffer) { return true }
                } catch {
                    return error.code != EBADFD
                }
            }
            return true
        }
    }

    /// Whether the interface still exists: it may be deleted under an open descriptor.
    public borrowing func isAttached() -> Bool {
        let number = descriptor.rawValue
        var request = ifreq()
        do throws(Errno) {
            try SystemCall.retrying {
                tandem_ioctl_pointer(number, TANDEM_TUNGETIFF, &request)
            }
            return true
        } catch {
            return false
        }
    }
}
