// SPDX-License-Identifier: Apache-2.0
//
// Connections that the kernel keeps on addresses which are not here: those of a process that died,
// whose last FIN never got out, and those of this process from the time it held the addresses. When
// the addresses come back they would answer in the place of the reset that a client needs, and keep
// a new client with the same port waiting.

import EventLoop
import LinuxIO
import ReplicationCore
public import Telemetry
public import WireCore

/// Ends such connections.
public final class StaleConnections {
    /// Connections ended before the loop gets its turn.
    static let perTurnMax = 256

    private let diagnosis: SocketDiagnosis
    private let logger: Logger
    private var stale: [KernelConnection] = []
    private var endedCount = 0

    /// Prepares; `nil` on a kernel without sock_diag, which is logged.
    public init?(logger: Logger) {
        self.logger = logger
        do throws(Errno) {
            diagnosis = try SocketDiagnosis()
        } catch {
            logger.warning(
                "stale connections cannot be found: some clients may wait after a takeover",
                ["error": error.description])
            return nil
        }
    }

    /// Ends every connection on `addresses` now; none of them may be on this host.
    public func endAll(of addresses: Set<IPAddress>) {
        find(addresses)
        while !endSome() {}
    }

    /// Ends the connections on `addresses` that have the ends of one of `clients`, now.
    ///
    /// The addresses may be on this host: the clients hear of it.
    func end(_ clients: Set<ClientKey>, on addresses: Set<IPAddress>) {
        do throws(Errno) {
            for address in addresses {
                for connection in try diagnosis.connections(of: [address]) {
                    let key = ClientKey(
                        localAddress: address, localPort: connection.localPort,
                        remoteAddress: SocketDiagnosis.remoteAddress(of: connection),
                        remotePort: connection.remotePort)
                    guard clients.contains(key) else { continue }
                    try? diagnosis.end(connection)
                }
            }
        } catch {
            logger.warning("stale connections cannot be listed", ["error": error.description])
        }
    }

    /// Ends none of those listed: their address is coming back, and they would not end in silence.
    func forget() {
        stale = []
    }

    /// Lists the connections on `addresses` for ``endSome()``, besides those listed before.
    func find(_ addresses: Set<IPAddress>) {
        if stale.isEmpty { endedCount = 0 }
        do throws(Errno) {
            stale += try diagnosis.connections(of: addresses)
        } catch {
            logger.warning("stale connections cannot be listed", ["error": error.description])
        }
    }

    /// Ends some of those listed.
    ///
    /// - Returns: whether none is left.
    func endSome() -> Bool {
        for _ in 0..<Self.perTurnMax {
            guard let connection = stale.popLast() else { break }
            do throws(Errno) {
                try diagnosis.end(connection)
                endedCount += 1
            } catch .noSuchFile {
                // It ended by itself.
            } catch {
                stale = []
                logger.warning("stale connections stay", ["error": error.description])
            }
        }
        guard stale.isEmpty else { return false }
        if endedCount > 0 {
            logger.info("stale connections ended", ["count": "\(endedCount)"])
        }
        return true
    }
}
