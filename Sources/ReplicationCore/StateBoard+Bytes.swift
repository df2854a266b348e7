// SPDX-License-Identifier: Apache-2.0
//
// Decisions as bytes.
//
//     piece      version 2 (1), decisions
//     decision   length of what follows (2), length of its numbers (1), numbers, length of the
//                node's name (1), name, length of the key (2), key, age in milliseconds (4), value
//                (the rest)
//     numbers    count (8), count of the other node's decision that its maker knew, or 0 (8)
//
// All numbers are big-endian; a later version may have more of them. The age is that of the value
// when the piece was made; the time on the way is not counted. In version 1 the count stands alone,
// without the length of the numbers.

import WireCore

extension StateBoard {
    static let formatVersion: UInt8 = 2
    private static let numbersByteCount = 16

    /// Appends a decision; false when it does not fit.
    static func append(
        _ decision: StateDecision, to bytes: inout [UInt8], byteCountMax: Int, now: Instant
    ) -> Bool {
        let origin = Array(decision.version.origin.utf8)
        let byteCount =
            1 + numbersByteCount + 1 + origin.count + 2 + decision.key.count + 4
            + decision.value.count
        guard origin.count <= originByteCountMax, byteCount <= Int(UInt16.max),
            bytes.count + 2 + byteCount <= byteCountMax
        else { return false }
        bytes.appendBigEndian(UInt16(byteCount))
        bytes.append(UInt8(numbersByteCount))
        bytes.appendBigEndian(decision.version.count)
        bytes.appendBigEndian(decision.answeredCount ?? 0)
        bytes.append(UInt8(origin.count))
        bytes += origin
        bytes.appendBigEndian(UInt16(truncatingIfNeeded: decision.key.count))
        bytes += decision.key
        bytes.appendBigEndian(UInt32(clamping: decision.age(now: now).milliseconds))
        bytes += decision.value
        return true
    }

    /// The decisions of a piece up to the first that cannot be read.
    static func decisions(
        of bytes: [UInt8], now: Instant
    ) -> (read: [StateDecision], fault: StateFault?) {
        var reader = ByteReader(unsafe bytes.span.bytes)
        guard let version = reader.readUInt8() else { return ([], .truncated) }
        guard (1...formatVersion).contains(version) else { return ([], .unknownVersion(version)) }
        var read: [StateDecision] = []
        while reader.remainingByteCount > 0 {
            guard let byteCount = reader.readUInt16(),
                let body = reader.readBytes(Int(byteCount))
            else { return (read, .truncated) }
            do throws(StateFault) {
                read.append(try decision(body, version: version, now: now))
            } catch {
                return (read, error)
            }
        }
        return (read, nil)
    }

    private static func decision(
        _ bytes: [UInt8], version: UInt8, now: Instant
    ) throws(StateFault) -> StateDecision {
        var reader = ByteReader(unsafe bytes.span.bytes)
        let (count, answered) = try numbers(&reader, version: version)
        guard let originByteCount = reader.readUInt8(),
            let origin = reader.readBytes(Int(originByteCount)),
            let keyByteCount = reader.readUInt16(), let key = reader.readBytes(Int(keyByteCount)),
            let age = reader.readUInt32(),
            let value = reader.readBytes(reader.remainingByteCount)
        else { throw .truncated }
        guard count <= StateVersion.countMax, key.count <= keyByteCountMax,
            value.count <= valueByteCountMax
        else { throw .outOfRange }
        return StateDecision(
            key: key,
            version: StateVersion(count: count, origin: String(decoding: origin, as: UTF8.self)),
            value: value, heardAt: now, ageThen: .milliseconds(UInt64(age)),
            answeredCount: answered)
    }

    private static func numbers(
        _ reader: inout ByteReader, version: UInt8
    ) throws(StateFault) -> (count: UInt64, answered: UInt64?) {
        guard version > 1 else {
            guard let count = reader.readUInt64() else { throw .truncated }
            return (count, nil)
        }
        guard let byteCount = reader.readUInt8() else { throw .truncated }
        guard byteCount >= numbersByteCount else { throw .outOfRange }
        guard let count = reader.readUInt64(), let answered = reader.readUInt64(),
            reader.skip(Int(byteCount) - numbersByteCount)
        else { throw .truncated }
        return (count, answered)
    }
}
