// SPDX-License-Identifier: Apache-2.0
//
// Messages a name server sends, right ones and wrong ones, as bytes.

/// One record to answer with.
public struct NameServerRecord: Sendable {
    /// Whose record it is; `nil` for the name asked for.
    public var owner: String?
    /// Its type.
    public var type: UInt16
    /// Its time to live in seconds.
    public var ttlSeconds: UInt32
    /// Its data.
    public var data: [UInt8]

    /// Makes a record.
    public init(owner: String? = nil, type: UInt16, ttlSeconds: UInt32, data: [UInt8]) {
        self.owner = owner
        self.type = type
        self.ttlSeconds = ttlSeconds
        self.data = data
    }

    /// An A record.
    public static func a(_ bytes: [UInt8], ttl: UInt32 = 60, owner: String? = nil) -> Self {
        Self(owner: owner, type: 1, ttlSeconds: ttl, data: bytes)
    }

    /// An A record of 10.0.0.`last`.
    public static func a(_ last: UInt8, ttl: UInt32 = 60, owner: String? = nil) -> Self {
        a([10, 0, 0, last], ttl: ttl, owner: owner)
    }

    /// An AAAA record of fd00::`last`.
    public static func aaaa(_ last: UInt8, ttl: UInt32 = 60, owner: String? = nil) -> Self {
        let data: [UInt8] = [0xFD] + [UInt8](repeating: 0, count: 14) + [last]
        return Self(owner: owner, type: 28, ttlSeconds: ttl, data: data)
    }

    /// A CNAME record.
    public static func alias(_ target: String, ttl: UInt32 = 60, owner: String? = nil) -> Self {
        Self(owner: owner, type: 5, ttlSeconds: ttl, data: NameServerReply.wireName(target))
    }

    /// An SRV record.
    public static func service(
        _ host: String, port: UInt16, priority: UInt16 = 0, weight: UInt16 = 0, ttl: UInt32 = 60
    ) -> Self {
        let data = [priority, weight, port].flatMap(NameServerReply.bytes)
        return Self(
            type: 33, ttlSeconds: ttl, data: data + NameServerReply.wireName(host))
    }
}

/// What a name server does with a question.
public enum NameServerReply: Sendable {
    /// Answers with these records; none is NODATA.
    case records([NameServerRecord])
    /// Answers with a code: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    case code(UInt8)
    /// Says nothing.
    case silence
    /// Sends bytes that are no message.
    case garbage([UInt8])
    /// Answers the right question with a body that is cut off in the middle of a record.
    case broken
    /// Sends forged answers with another id, another question and from another port, then the
    /// true one.
    case forgedThen([NameServerRecord], truth: [NameServerRecord])
    /// Says over UDP that the answer does not fit; gives it over TCP.
    case truncated([NameServerRecord])
    /// Says over UDP that the answer does not fit, and closes over TCP.
    case truncatedForEver

    /// A whole message with the question of `query` repeated.
    public static func message(
        to query: NameServerQuery, flags: UInt16 = 0x8180, records: [NameServerRecord] = []
    ) -> [UInt8] {
        var message = bytes(query.id) + bytes(flags) + bytes(1)
        message += bytes(UInt16(records.count)) + bytes(0) + bytes(0)
        message += query.question
        for record in records {
            // A pointer to the question, at the end of the header.
            message += record.owner.map(wireName) ?? [0xC0, 0x0C]
            message += bytes(record.type) + bytes(1)
            message += bytes(UInt16(record.ttlSeconds >> 16))
            message += bytes(UInt16(truncatingIfNeeded: record.ttlSeconds))
            message += bytes(UInt16(record.data.count)) + record.data
        }
        return message
    }

    static func bytes(_ number: UInt16) -> [UInt8] {
        [UInt8(number >> 8), UInt8(number & 0xFF)]
    }

    /// A name as labels with their lengths.
    public static func wireName(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
}

/// A question that a name server got.
public struct NameServerQuery: Sendable {
    /// What answers must repeat.
    public var id: UInt16
    /// The name, in lower case.
    public var name: String
    /// The type of the records asked for.
    public var type: UInt16
    /// True when it came over TCP.
    public var isStream: Bool
    /// Its question section as it came.
    public var question: [UInt8]

    /// Reads a question; `nil` when the bytes are none.
    init?(_ message: ArraySlice<UInt8>, isStream: Bool) {
        let bytes = Array(message)
        guard bytes.count > 16 else { return nil }
        var at = 12
        var labels: [String] = []
        while at < bytes.count, bytes[at] != 0 {
            let end = at + 1 + Int(bytes[at])
            guard end < bytes.count else { return nil }
            labels.append(String(decoding: bytes[(at + 1)..<end], as: UTF8.self))
            at = end
        }
        guard at + 5 <= bytes.count else { return nil }
        id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        name = labels.joined(separator: ".").lowercased()
        type = UInt16(bytes[at + 1]) << 8 | UInt16(bytes[at + 2])
        question = Array(bytes[12..<(at + 5)])
        self.isStream = isStream
    }
}
