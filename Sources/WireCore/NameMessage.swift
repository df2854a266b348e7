// SPDX-License-Identifier: Apache-2.0
//
// Answers of the domain name system: which addresses or services a message gives for its question.
// Whether it answers the question that was asked is c-ares's to check.

/// Reads the answers of one DNS message (RFC 1035 §4).
public enum NameMessage {
    /// The longest message there is, over TCP.
    public static let byteCountMax = 65_535
    /// Records of the answer section that are looked at; the rest is ignored.
    public static let recordsMax = 1_024
    /// Aliases followed from the name asked for to the one that has records.
    public static let aliasesMax = 16
    /// A time to live above a week is taken for a week.
    public static let ttlSecondsMax: UInt32 = 604_800

    /// Types of records that are understood.
    public enum RecordType: UInt16, Sendable, CaseIterable {
        /// An IPv4 address (RFC 1035 §3.4.1).
        case a = 1
        /// An IPv6 address (RFC 3596 §2.1).
        case aaaa = 28
        /// A service (RFC 2782).
        case srv = 33
    }

    static let aliasType: UInt16 = 5
    static let internetClass: UInt16 = 1

    /// The addresses that a message with an A or AAAA question gives.
    public static func addresses(
        _ bytes: [UInt8], _ type: RecordType
    ) -> NameLookupOutcome<IPAddress> {
        guard let answers = answers(bytes, type) else { return .failed(.malformed) }
        var found: [IPAddress] = []
        for record in answers.records {
            let data = bytes[record.data]
            guard let address = type == .a ? v4(data) : v6(data) else {
                return .failed(.malformed)
            }
            found.append(address)
        }
        return found.isEmpty ? .noRecords : .records(found, ttl: answers.ttl)
    }

    /// The services that a message with an SRV question gives.
    ///
    /// RFC 2782: a target of `.` says that the service is not there. Records whose target is no
    /// host name or whose port is 0 are left out.
    public static func services(_ bytes: [UInt8]) -> NameLookupOutcome<ServiceRecord> {
        guard let answers = answers(bytes, .srv) else { return .failed(.malformed) }
        var found: [ServiceRecord] = []
        for record in answers.records {
            // Six bytes of numbers and at least the root name.
            guard record.data.count >= 7 else { return .failed(.malformed) }
            let start = record.data.lowerBound
            guard let (name, end) = MessageName.read(bytes, at: start + 6),
                end <= record.data.upperBound
            else { return .failed(.malformed) }
            let port = number(bytes, start + 4)
            guard port != 0, let host = name.hostName else { continue }
            found.append(
                ServiceRecord(
                    host: host, port: port, priority: number(bytes, start),
                    weight: number(bytes, start + 2)))
        }
        return found.isEmpty ? .noRecords : .records(found, ttl: answers.ttl)
    }

    private struct Answers {
        var records: [Record]
        var ttl: TimeSpan
    }

    private struct Record {
        var name: MessageName
        var type: UInt16
        var ttlSeconds: UInt32
        var data: Range<Int>
    }

    /// The records of a type that belong to the name asked for, through its aliases.
    private static func answers(_ bytes: [UInt8], _ type: RecordType) -> Answers? {
        // RFC 1035 §4.1.1: the header is twelve bytes; one question comes back with the answer.
        guard (12...byteCountMax).contains(bytes.count), number(bytes, 4) == 1,
            let (question, end) = MessageName.read(bytes, at: 12), end + 4 <= bytes.count,
            number(bytes, end) == type.rawValue, number(bytes, end + 2) == internetClass,
            let records = records(bytes, at: end + 4, count: Int(number(bytes, 6)))
        else { return nil }
        var name = question
        var ttlSeconds = ttlSecondsMax
        for _ in 0..<aliasesMax {
            guard
                let alias = records.first(where: { $0.type == aliasType && $0.name == name }),
                let (target, _) = MessageName.read(bytes, at: alias.data.lowerBound)
            else { break }
            name = target
            ttlSeconds = min(ttlSeconds, alias.ttlSeconds)
        }
        let found = records.filter { $0.type == type.rawValue && $0.name == name }
        for record in found { ttlSeconds = min(ttlSeconds, record.ttlSeconds) }
        return Answers(records: found, ttl: .seconds(UInt64(ttlSeconds)))
    }

    /// The records of class IN of the answer section; `nil` when one is cut off.
    private static func records(_ bytes: [UInt8], at start: Int, count: Int) -> [Record]? {
        var records: [Record] = []
        var at = start
        for _ in 0..<min(count, recordsMax) {
            guard let (name, end) = MessageName.read(bytes, at: at), end + 10 <= bytes.count else {
                return nil
            }
            let data = (end + 10)..<(end + 10 + Int(number(bytes, end + 8)))
            guard data.upperBound <= bytes.count else { return nil }
            at = data.upperBound
            guard number(bytes, end + 2) == internetClass else { continue }
            records.append(
                Record(
                    name: name, type: number(bytes, end),
                    ttlSeconds: ttlSeconds(bytes, end + 4), data: data))
        }
        return records
    }

    /// RFC 2181 §8: a time to live with the highest bit set is zero.
    private static func ttlSeconds(_ bytes: [UInt8], _ at: Int) -> UInt32 {
        let value = UInt32(number(bytes, at)) << 16 | UInt32(number(bytes, at + 2))
        return value >> 31 == 1 ? 0 : min(value, ttlSecondsMax)
    }

    private static func number(_ bytes: [UInt8], _ at: Int) -> UInt16 {
        UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
    }

    private static func v4(_ data: ArraySlice<UInt8>) -> IPAddress? {
        guard data.count == 4 else { return nil }
        return .v4(IPv4Address(rawValue: data.reduce(0) { $0 << 8 | UInt32($1) }))
    }

    private static func v6(_ data: ArraySlice<UInt8>) -> IPAddress? {
        guard data.count == 16 else { return nil }
        let high = data.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let low = data.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return .v6(IPv6Address(high: high, low: low))
    }
}
