// SPDX-License-Identifier: Apache-2.0
//
// Between `Endpoint` values and the kernel's sockaddr.

internal import CLinux
internal import WireCore

/// A socket address in the kernel's form.
struct SocketAddress {
    private var storage = sockaddr_storage()
    private(set) var length: socklen_t = 0

    init(_ endpoint: Endpoint) {
        switch endpoint.address {
        case .v4(let address):
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = endpoint.port.bigEndian
            v4.sin_addr.s_addr = address.rawValue.bigEndian
            store(&v4)
        case .v6(let address):
            var v6 = sockaddr_in6()
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = endpoint.port.bigEndian
            withUnsafeMutableBytes(of: &v6.sin6_addr) { bytes in
                bytes.storeBytes(of: address.high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            store(&v6)
        }
    }

    /// A Unix socket path; `nil` when it is empty or does not fit the kernel's 108 bytes.
    init?(path: String) {
        self.init(pathBytes: Array(path.utf8))
    }

    /// A Unix socket path as bytes; a first byte of zero names an abstract socket.
    init?(pathBytes bytes: [UInt8]) {
        var unix = sockaddr_un()
        unix.sun_family = sa_family_t(AF_UNIX)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: unix.sun_path) else {
            return nil
        }
        withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: bytes) }
        store(&unix)
        if bytes[0] == 0 {
            // An abstract name is as long as it says, without a terminator (unix(7)).
            length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        }
    }

    /// Lets the kernel fill an address in.
    static func received(
        _ body: (UnsafeMutableRawPointer, UnsafeMutablePointer<socklen_t>) throws(Errno) -> Void
    ) throws(Errno) -> SocketAddress {
        var address = SocketAddress()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var failure: Errno?
        withUnsafeMutableBytes(of: &address.storage) { bytes in
            guard let base = bytes.baseAddress else { return }
            do throws(Errno) { try body(base, &length) } catch { failure = error }
        }
        if let failure { throw failure }
        address.length = length
        return address
    }

    private init() {}

    private mutating func store<Address>(_ address: inout Address) {
        length = socklen_t(MemoryLayout<Address>.size)
        withUnsafeMutableBytes(of: &storage) { target in
            withUnsafeBytes(of: &address) { target.copyMemory(from: $0) }
        }
    }

    func withPointer<Result>(
        _ body: (UnsafeRawPointer, socklen_t) -> Result
    ) -> Result {
        var copy = storage
        return withUnsafePointer(to: &copy) { body(UnsafeRawPointer($0), length) }
    }

    /// The endpoint, or `nil` for another family.
    var endpoint: Endpoint? {
        withUnsafeBytes(of: storage) { bytes in
            switch CInt(storage.ss_family) {
            case AF_INET:
                let v4 = bytes.loadUnaligned(as: sockaddr_in.self)
                return Endpoint(
                    address: .v4(IPv4Address(rawValue: UInt32(bigEndian: v4.sin_addr.s_addr))),
                    port: UInt16(bigEndian: v4.sin_port))
            case AF_INET6:
                let v6 = bytes.loadUnaligned(as: sockaddr_in6.self)
                return withUnsafeBytes(of: v6.sin6_addr) { address in
                    Endpoint(
                        address: .v6(
                            IPv6Address(
                                high: UInt64(bigEndian: address.loadUnaligned(as: UInt64.self)),
                                low: UInt64(
                                    bigEndian: address.loadUnaligned(
                                        fromByteOffset: 8, as: UInt64.self)))),
                        port: UInt16(bigEndian: v6.sin6_port))
                }
            default:
                return nil
            }
        }
    }
}
