// SPDX-License-Identifier: Apache-2.0
//
// What commands changed about a backend as bytes, for the other node of a pair.
//
//     override   state: ready 0, drain 1, maint 2 (1), health: as found 0, stopping 1, down 2 (1),
//                weight, 65,535 for the file's (2), family of the address: 0, 4 or 6 (1),
//                address, port (2)
//
// All numbers are big-endian; what follows the known bytes belongs to later versions.

import WireCore

extension RuntimeOverride {
    private static let weightOfFile = UInt16.max
    /// The largest weight that a command can give.
    private static let weightMax: UInt16 = 256

    /// The bytes of the change.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        switch state {
        case .ready: bytes.append(0)
        case .drain: bytes.append(1)
        case .maintenance: bytes.append(2)
        }
        switch health {
        case nil: bytes.append(0)
        case .stopping: bytes.append(1)
        case .down: bytes.append(2)
        }
        bytes.appendBigEndian(weight.map { UInt16(clamping: $0) } ?? Self.weightOfFile)
        switch address?.address {
        case nil: bytes.append(0)
        case .v4(let address):
            bytes.append(4)
            bytes.appendBigEndian(address.rawValue)
        case .v6(let address):
            bytes.append(6)
            bytes.appendBigEndian(address.high)
            bytes.appendBigEndian(address.low)
        }
        if let port = address?.port { bytes.appendBigEndian(port) }
        return bytes
    }

    /// Reads a change; `nil` for bytes that mean nothing to this version.
    public init?(_ bytes: [UInt8]) {
        self.init()
        var reader = ByteReader(unsafe bytes.span.bytes)
        switch reader.readUInt8() {
        case 0: state = .ready
        case 1: state = .drain
        case 2: state = .maintenance
        default: return nil
        }
        switch reader.readUInt8() {
        case 0: health = nil
        case 1: health = .stopping
        case 2: health = .down
        default: return nil
        }
        guard let weight = reader.readUInt16() else { return nil }
        if weight != Self.weightOfFile {
            guard weight <= Self.weightMax else { return nil }
            self.weight = Int(weight)
        }
        switch reader.readUInt8() {
        case 0: return
        case 4:
            guard let raw = reader.readUInt32(), let port = reader.readUInt16() else { return nil }
            address = Endpoint(address: .v4(IPv4Address(rawValue: raw)), port: port)
        case 6:
            guard let high = reader.readUInt64(), let low = reader.readUInt64(),
                let port = reader.readUInt16()
            else { return nil }
            address = Endpoint(address: .v6(IPv6Address(high: high, low: low)), port: port)
        default: return nil
        }
    }
}
