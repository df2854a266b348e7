// SPDX-License-Identifier: Apache-2.0
//
// The two messages of grpc.health.v1.Health/Check, each behind gRPC's prefix of five bytes.
//
//     message HealthCheckRequest  { string service = 1; }
//     message HealthCheckResponse { ServingStatus status = 1; }

import BalancerCore

/// Writes the question and reads the answer.
enum GRPCHealthMessage {
    /// A compression flag and the length of what follows, big-endian.
    private static let prefixByteCount = 5

    /// The question about a service; the empty name asks about the server as a whole.
    static func request(service: String) -> [UInt8] {
        var message: [UInt8] = []
        // proto3: a field with its default value is not sent.
        if !service.isEmpty {
            message.append(0x0A)
            message += varint(UInt64(service.utf8.count))
            message += Array(service.utf8)
        }
        let count = UInt32(clamping: message.count)
        let length = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> UInt32($0)) }
        return [0] + length + message
    }

    /// What an answer says; `nil` when it is none.
    static func servingStatus(of body: [UInt8]) -> ServingStatus? {
        guard body.count >= prefixByteCount, body[0] == 0 else { return nil }
        let length = body[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard length == body.count - prefixByteCount else { return nil }
        var reader = FieldReader(bytes: body[prefixByteCount...])
        var status: UInt64 = 0
        while !reader.isAtEnd {
            guard let tag = reader.varint() else { return nil }
            if tag == 1 << 3 {
                guard let value = reader.varint() else { return nil }
                status = value
            } else {
                guard reader.skip(wireType: tag & 7) else { return nil }
            }
        }
        return UInt8(exactly: status).flatMap(ServingStatus.init)
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var value = value
        var bytes: [UInt8] = []
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
        return bytes
    }

    /// Reads the encoding of protobuf as far as it is needed here.
    private struct FieldReader {
        var bytes: ArraySlice<UInt8>

        var isAtEnd: Bool { bytes.isEmpty }

        mutating func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard let byte = bytes.popFirst() else { return nil }
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            return nil
        }

        /// Skips a field that a later version of the protocol may have added.
        mutating func skip(wireType: UInt64) -> Bool {
            switch wireType {
            case 0: return varint() != nil
            case 1: return skip(byteCount: 8)
            case 2: return varint().map { skip(byteCount: $0) } ?? false
            case 5: return skip(byteCount: 4)
            default: return false
            }
        }

        private mutating func skip(byteCount: UInt64) -> Bool {
            guard byteCount <= UInt64(bytes.count) else { return false }
            bytes.removeFirst(Int(byteCount))
            return true
        }
    }
}
