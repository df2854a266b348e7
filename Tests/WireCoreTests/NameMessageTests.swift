// SPDX-License-Identifier: Apache-2.0
//
// Goal: answers are read as RFC 1035 writes them, and no bytes from the network do harm. Method:
// messages put together by hand, each cut at every place and each byte changed.

import Testing
import WireCore

/// Puts messages together.
private struct MessageText {
    var bytes: [UInt8]
    private var count: UInt16 = 0

    /// A header and a question; `answers` overrides the count in the header.
    init(_ name: String, _ type: UInt16) {
        bytes = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]
        bytes += Self.name(name) + [UInt8(type >> 8), UInt8(type & 0xFF), 0, 1]
    }

    mutating func add(
        _ type: UInt16, of owner: [UInt8] = [0xC0, 0x0C], ttl: UInt32 = 60,
        class kind: UInt8 = 1, _ data: [UInt8]
    ) {
        count += 1
        bytes[6] = UInt8(count >> 8)
        bytes[7] = UInt8(count & 0xFF)
        bytes += owner + [UInt8(type >> 8), UInt8(type & 0xFF), 0, kind]
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: ttl >> (24 - 8 * UInt32($0))) }
        bytes += [UInt8(data.count >> 8), UInt8(data.count & 0xFF)] + data
    }

    static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    static func service(
        _ priority: UInt8, _ weight: UInt8, _ port: UInt16, _ host: [UInt8]
    ) -> [UInt8] {
        [0, priority, 0, weight, UInt8(port >> 8), UInt8(port & 0xFF)] + host
    }
}

@Suite struct NameMessageTests {
    private static let one = IPAddress.v4(IPv4Address(10, 0, 0, 1))
    private static let two = IPAddress.v4(IPv4Address(10, 0, 0, 2))

    @Test func addressesAndTheSmallestTimeToLiveAreRead() {
        var message = MessageText("app.test", 1)
        message.add(1, ttl: 300, [10, 0, 0, 1])
        message.add(1, ttl: 30, [10, 0, 0, 2])
        #expect(
            NameMessage.addresses(message.bytes, .a)
                == .records([Self.one, Self.two], ttl: .seconds(30)))
    }

    @Test func longAddressesAreRead() {
        var message = MessageText("app.test", 28)
        message.add(28, [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [9])
        #expect(
            NameMessage.addresses(message.bytes, .aaaa)
                == .records(
                    [.v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 9))], ttl: .seconds(60)))
    }

    @Test func aliasesAreFollowedInAnyOrderAndLimitTheTime() {
        var message = MessageText("www.test", 1)
        message.add(1, of: MessageText.name("host.test"), ttl: 300, [10, 0, 0, 1])
        message.add(5, of: MessageText.name("MIDDLE.test"), ttl: 20, MessageText.name("host.TEST"))
        message.add(5, ttl: 100, MessageText.name("middle.test"))
        #expect(
            NameMessage.addresses(message.bytes, .a) == .records([Self.one], ttl: .seconds(20)))
    }

    /// A record of somebody else's name in the answer says nothing about ours.
    @Test func recordsOfOtherNamesAreNotOurs() {
        var message = MessageText("app.test", 1)
        message.add(1, of: MessageText.name("bank.test"), [6, 6, 6, 6])
        #expect(NameMessage.addresses(message.bytes, .a) == .noRecords)
        message.add(1, [10, 0, 0, 1])
        #expect(
            NameMessage.addresses(message.bytes, .a) == .records([Self.one], ttl: .seconds(60)))
    }

    @Test func aliasesInACircleEnd() {
        var message = MessageText("a.test", 1)
        message.add(5, of: MessageText.name("a.test"), MessageText.name("b.test"))
        message.add(5, of: MessageText.name("b.test"), MessageText.name("a.test"))
        #expect(NameMessage.addresses(message.bytes, .a) == .noRecords)
    }

    @Test func otherClassesAndTypesAreSkipped() {
        var message = MessageText("app.test", 1)
        message.add(1, class: 3, [6, 6, 6, 6])
        message.add(16, [3, 0x61, 0x62, 0x63])
        message.add(1, [10, 0, 0, 1])
        #expect(
            NameMessage.addresses(message.bytes, .a) == .records([Self.one], ttl: .seconds(60)))
    }

    /// RFC 2181 §8, and a bound on what is believed.
    @Test(
        arguments: [
            (0, 0), (0x8000_0000, 0), (0xFFFF_FFFF, 0), (0x7FFF_FFFF, 604_800), (604_801, 604_800),
        ] as [(UInt32, UInt64)])
    func strangeTimesToLiveAreBounded(ttl: UInt32, seconds: UInt64) {
        var message = MessageText("app.test", 1)
        message.add(1, ttl: ttl, [10, 0, 0, 1])
        #expect(
            NameMessage.addresses(message.bytes, .a)
                == .records([Self.one], ttl: .seconds(seconds)))
    }

    @Test func servicesAreRead() {
        var message = MessageText("_http._tcp.test", 33)
        message.add(33, MessageText.service(1, 5, 8_080, MessageText.name("One.Test")))
        message.add(33, ttl: 9, MessageText.service(2, 0, 81, MessageText.name("two.test")))
        #expect(
            NameMessage.services(message.bytes)
                == .records(
                    [
                        ServiceRecord(host: "one.test", port: 8_080, priority: 1, weight: 5),
                        ServiceRecord(host: "two.test", port: 81, priority: 2, weight: 0),
                    ], ttl: .seconds(9)))
    }

    /// RFC 2782: a target of "." says that the service is decidedly not there.
    @Test func servicesWithoutAHostOrPortAreLeftOut() {
        var message = MessageText("_http._tcp.test", 33)
        message.add(33, MessageText.service(0, 0, 80, [0]))
        #expect(NameMessage.services(message.bytes) == .noRecords)
        message.add(33, MessageText.service(0, 0, 0, MessageText.name("one.test")))
        message.add(33, MessageText.service(0, 0, 80, MessageText.name("two\nlines.test")))
        message.add(33, MessageText.service(0, 0, 80, [3, 0x61, 0x2E, 0x62, 0]))
        #expect(NameMessage.services(message.bytes) == .noRecords)
    }

    @Test(arguments: [
        // A label that points at itself, forward, or is of a reserved kind.
        [0xC0, 0x1B] as [UInt8], [0xC0, 0xFF], [0xFF, 0xFF], [0x40, 0x61, 0], [0x80, 0],
        [63, 0x61], [0xC0],
    ])
    func malformedNamesAreRefused(owner: [UInt8]) {
        var message = MessageText("app.test", 1)
        message.bytes[7] = 1
        message.bytes += owner
        #expect(NameMessage.addresses(message.bytes, .a) == .failed(.malformed))
    }

    @Test func namesLongerThanAllowedAreRefused() {
        let label = [UInt8(63)] + [UInt8](repeating: 0x61, count: 63)
        var message = MessageText("app.test", 1)
        message.add(1, of: label + label + label + label + [0], [10, 0, 0, 1])
        #expect(NameMessage.addresses(message.bytes, .a) == .failed(.malformed))
    }

    @Test func addressesOfAnotherLengthAreRefused() {
        var message = MessageText("app.test", 1)
        message.add(1, [10, 0, 0])
        #expect(NameMessage.addresses(message.bytes, .a) == .failed(.malformed))
    }

    @Test func anAnswerToAnotherQuestionIsRefused() {
        var message = MessageText("app.test", 28)
        message.add(1, [10, 0, 0, 1])
        #expect(NameMessage.addresses(message.bytes, .a) == .failed(.malformed))
        #expect(NameMessage.addresses([], .a) == .failed(.malformed))
        #expect(NameMessage.services([UInt8](repeating: 0, count: 12)) == .failed(.malformed))
    }

    /// Every prefix is malformed; no changed byte stops the reader or makes it run on.
    @Test func damagedMessagesDoNoHarm() {
        var service = MessageText("_http._tcp.test", 33)
        service.add(33, MessageText.service(1, 5, 8_080, [3, 0x6F, 0x6E, 0x65, 0xC0, 0x17]))
        service.add(5, MessageText.name("other.test"))
        var address = MessageText("app.test", 1)
        address.add(1, [10, 0, 0, 1])
        address.add(5, of: MessageText.name("x.test"), [0xC0, 0x0C])
        for length in service.bytes.indices {
            #expect(NameMessage.services(Array(service.bytes[..<length])) == .failed(.malformed))
        }
        for length in address.bytes.indices {
            let cut = Array(address.bytes[..<length])
            #expect(NameMessage.addresses(cut, .a) == .failed(.malformed))
        }
        var generator = SeededGenerator(seed: 7)
        for index in service.bytes.indices {
            for value in [
                0, 1, 0x3F, 0x40, 0xC0, 0xFF, UInt8(truncatingIfNeeded: generator.next()),
            ] {
                var changed = service.bytes
                changed[index] = value
                _ = NameMessage.services(changed)
            }
        }
        for _ in 0..<20_000 {
            var changed = address.bytes
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: changed.indices, using: &generator)
                changed[index] = UInt8(truncatingIfNeeded: generator.next())
            }
            if case .records(let found, let ttl) = NameMessage.addresses(changed, .a) {
                #expect(!found.isEmpty && found.count <= 2)
                #expect(ttl <= .seconds(UInt64(NameMessage.ttlSecondsMax)))
            }
        }
    }

    @Test func noMoreRecordsThanTheLimitAreRead() {
        var message = MessageText("app.test", 1)
        for index in 0..<1_500 { message.add(1, [10, 0, UInt8(index / 256), UInt8(index % 256)]) }
        guard case .records(let found, _) = NameMessage.addresses(message.bytes, .a) else {
            Issue.record("no records")
            return
        }
        #expect(found.count == NameMessage.recordsMax)
    }
}
