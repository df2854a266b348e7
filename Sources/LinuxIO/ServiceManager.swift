// SPDX-License-Identifier: Apache-2.0
//
// Telling systemd how the service is, by the sd_notify datagram; nothing else of libsystemd.

internal import CLinux

/// The service manager that started this process, if there is one (sd_notify(3)).
public enum ServiceManager {
    /// Sends one or more `KEY=VALUE` lines to `NOTIFY_SOCKET`; without one it does nothing.
    public static func notify(_ lines: String) {
        guard let variable = getenv("NOTIFY_SOCKET") else { return }
        var path = Array(String(cString: variable).utf8)
        // A leading @ names an abstract socket: its first byte is zero.
        if path.first == 0x40 { path[0] = 0 }
        guard let socket = try? StreamSocket.open(AF_UNIX, SOCK_DGRAM, 0),
            let address = SocketAddress(pathBytes: path)
        else { return }
        let number = socket.rawValue
        let bytes = Array(lines.utf8)
        _ = address.withPointer { pointer, length in
            bytes.withUnsafeBytes {
                tandem_sendto(number, $0.baseAddress, $0.count, 0, pointer, length)
            }
        }
    }
}
