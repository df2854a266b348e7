// SPDX-License-Identifier: Apache-2.0
//
// Connections and records for the tests of shadows.

import ReplicationCore
import WireCore

enum ShadowSamples {
    static let address = IPAddress.v4(IPv4Address(rawValue: 0x0A00_0064))
    static let otherAddress = IPAddress.v4(IPv4Address(rawValue: 0x0A00_0065))

    static func key(_ port: UInt16, at address: IPAddress = address) -> ClientKey {
        ClientKey(
            localAddress: address, localPort: 80,
            remoteAddress: .v4(IPv4Address(rawValue: 0x0A00_0001)), remotePort: port)
    }

    static func transport(receive: UInt32, send: UInt32) -> TransportState {
        TransportState(
            sendSequence: send, receiveSequence: receive, sendWindow: 65_535,
            receiveWindow: 65_535, timestamp: 1_000_000, segmentByteCountMax: 1_460,
            sendWindowScale: 7, receiveWindowScale: 7,
            options: [.windowScale, .timestamps, .selectiveAcknowledgement])
    }

    static func opened(
        _ port: UInt16, receive: UInt32 = 1_000, send: UInt32 = 5_000,
        level: ShadowLevel = .requests, at address: IPAddress = address
    ) -> ShadowRecord {
        .opened(
            key: key(port, at: address), level: level,
            transport: transport(receive: receive, send: send), client: nil)
    }

    static func head(_ byteCount: Int) -> [UInt8] { [UInt8](repeating: 0x47, count: byteCount) }

    static func instant(_ milliseconds: UInt64) -> Instant {
        Instant(nanoseconds: milliseconds * 1_000_000)
    }
}
