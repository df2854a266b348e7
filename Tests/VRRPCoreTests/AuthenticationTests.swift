// SPDX-License-Identifier: Apache-2.0
//
// Adverts with a trailer: who cannot make one is not heard, and nothing serves twice.

import TLSIO
import Testing
import VRRPCore
import WireCore

@Suite("Authenticated adverts")
struct AuthenticationTests {
    static let source = IPAddress(10, 77, 0, 11)
    static let key = makeKey(1)

    private static func makeKey(_ seed: UInt8) -> AdvertisementKey {
        AdvertisementKey(bytes: [UInt8](repeating: seed, count: 32)) { key, message in
            HMACSHA256.authenticationCode(for: message, key: key)
        }
    }

    /// A sender whose packets reach the receiver.
    private struct Node {
        var signer: AdvertisementSigner
        var source = AuthenticationTests.source
        var advertisement = Advertisement.sample

        init(key: AdvertisementKey = AuthenticationTests.key, bootNonce: UInt64 = 1_000) {
            signer = AdvertisementSigner(key: key, bootNonce: bootNonce)
        }

        mutating func packet() -> PacketBuilder {
            var packet = PacketBuilder()
            packet.source = source
            packet.message = advertisement.encoded(
                checksum: .rfc9568, source: source, destination: packet.destination,
                signer: &signer)
            return packet
        }
    }

    private var decoder = AdvertisementDecoder(
        AdvertisementPolicy(virtualRouterIDs: [51, 52], key: Self.key))

    /// Decodes, and says which reason refused it.
    private mutating func reason(_ packet: PacketBuilder) -> AdvertisementError.Reason? {
        do throws(AdvertisementError) {
            let received = try decoder.decode(ipv4Packet: packet.bytes.span.bytes)
            #expect(received.advertisement.addresses == Advertisement.sample.addresses)
            return nil
        } catch { return error.reason }
    }

    @Test("Adverts of the peer are taken, each once")
    mutating func takesEachOnce() {
        var node = Node()
        let first = node.packet()
        let second = node.packet()
        let third = node.packet()
        #expect(first.message.count == Advertisement.headerByteCount + 4 + 36)
        #expect(reason(first) == nil)
        #expect(reason(first) == .authenticationReplay)
        #expect(reason(third) == nil)
        #expect(reason(second) == .authenticationReplay, "overtaken: the later one counts")
        #expect(reason(node.packet()) == nil)
    }

    @Test("A plain advert, however right and of whatever priority, is ignored")
    mutating func refusesPlainAdverts() {
        var spoofed = Advertisement.sample
        spoofed.priority = 255
        #expect(reason(PacketBuilder(spoofed)) == .authenticationMissing)
        #expect(reason(PacketBuilder(spoofed, checksum: .rfc5798)) == .authenticationMissing)
    }

    @Test("With authentication off an advert with a trailer is refused by its length")
    mutating func refusesTrailerWhenOff() {
        var node = Node()
        decoder.policy.key = nil
        #expect(reason(node.packet()) == .messageLength)
    }

    @Test("Another key is told from a forgery, and neither is heard")
    mutating func refusesOtherKeys() {
        var stranger = Node(key: Self.makeKey(2))
        #expect(Self.makeKey(2).id != Self.key.id)
        #expect(reason(stranger.packet()) == .authenticationKey)
        // Who knows the id of our key still cannot make a tag.
        var packet = stranger.packet()
        packet.setMessageByte(12 + 2, to: Self.key.id)
        #expect(reason(packet) == .authenticationTag)
    }

    @Test("Every byte counts: changed, with the sum made right again, the tag does not fit")
    mutating func refusesEveryChangedByte() {
        var node = Node()
        let packet = node.packet()
        for index in packet.message.indices where index != 6 && index != 7 {
            var changed = packet
            changed.setMessageByte(index, to: packet.message[index] ^ 0x10)
            let refused = reason(changed)
            switch index {
            case 0: #expect(refused == .version)
            case 1: #expect(refused == .virtualRouterID)
            case 3: #expect(refused == .messageLength)
            case 12, 13, 15: #expect(refused == .authenticationForm)
            case 14: #expect(refused == .authenticationKey)
            // Of the interval only twelve bits count, but all sixteen are covered.
            default: #expect(refused == .authenticationTag, "byte \(index)")
            }
        }
        #expect(reason(packet) == nil, "what was refused before left no trace")
    }

    @Test("A recorded advert serves neither in another name nor for another virtual router")
    mutating func refusesMovedAdverts() {
        var node = Node()
        var packet = node.packet()
        packet.source = IPAddress(10, 77, 0, 99)
        #expect(reason(packet) == .authenticationTag)
        packet = node.packet()
        packet.destination = IPAddress(10, 77, 0, 12)
        #expect(reason(packet) == .authenticationTag)
        packet = node.packet()
        packet.setMessageByte(1, to: 52)
        #expect(reason(packet) == .authenticationTag)
    }

    @Test("A process that started later counts, and ends what the one before said")
    mutating func followsRestart() {
        var old = Node(bootNonce: 1_000)
        for _ in 0..<5 { #expect(reason(old.packet()) == nil) }
        let recorded = old.packet()
        var new = Node(bootNonce: 2_000)
        #expect(reason(new.packet()) == nil)
        #expect(reason(recorded) == .authenticationReplay)
        #expect(reason(new.packet()) == nil)
    }

    @Test("A process whose clock is behind counts once the pair link has vouched for it")
    mutating func followsClockThatWentBack() {
        var old = Node(bootNonce: 5_000)
        #expect(reason(old.packet()) == nil)
        var new = Node(bootNonce: 3_000)
        #expect(reason(new.packet()) == .authenticationReplay)
        decoder.expect(bootNonce: 3_000, from: IPAddress(10, 77, 0, 98))
        #expect(reason(new.packet()) == .authenticationReplay, "another sender's")
        decoder.expect(bootNonce: 3_000, from: Self.source)
        let packet = new.packet()
        #expect(reason(packet) == nil)
        decoder.expect(bootNonce: 3_000, from: Self.source)
        #expect(reason(packet) == .authenticationReplay, "vouching again opens nothing")
    }

    @Test("Virtual routers and senders are told apart, and their number is bounded")
    mutating func keepsSendersApart() {
        var node = Node()
        for _ in 0..<9 { #expect(reason(node.packet()) == nil) }
        var other = Node()
        other.advertisement.virtualRouterID = 52
        #expect(reason(other.packet()) == nil, "its sequence is its own")
        for number in 0..<62 as Range<UInt8> {
            var sender = Node()
            sender.source = IPAddress(10, 77, 1, number)
            #expect(reason(sender.packet()) == nil)
        }
        var late = Node()
        late.source = IPAddress(10, 77, 2, 1)
        #expect(reason(late.packet()) == .authenticationSenders)
        #expect(reason(node.packet()) == nil, "those known are still heard")
    }

    @Test("The last sequence there is serves, and nothing after it traps")
    mutating func survivesLargestNumbers() {
        var node = Node(bootNonce: .max)
        node.signer = AdvertisementSigner(
            key: Self.key, bootNonce: .max, sentCount: UInt64.max - 1)
        let packet = node.packet()
        #expect(reason(packet) == nil)
        #expect(reason(packet) == .authenticationReplay)
        #expect(reason(node.packet()) == .authenticationReplay)
    }

    @Test("A key does not show in descriptions")
    func hidesKey() {
        #expect("\(Self.key)" == "(key)")
        #expect(Mirror(reflecting: Self.key).children.isEmpty)
    }
}
