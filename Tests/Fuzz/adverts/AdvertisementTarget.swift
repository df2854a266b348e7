// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes what a LAN can send to a virtual router: adverts of both versions and families, with and
// without a trailer, ARP and neighbour discovery. The first byte chooses the reader; its highest
// bit has checksums made right first, so that what lies behind them is reached.

import VRRPCore
import WireCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 0 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    let isRepaired = start[0] & 0x80 != 0
    switch start[0] & 0x0F {
    case 0: checkIPv4(bytes, .version3, key: nil, isRepaired)
    case 1: checkIPv4(bytes, .version2, key: nil, isRepaired)
    case 2: checkIPv4(bytes, .version3, key: toyKey, isRepaired)
    case 3: checkIPv4(bytes, .version2, key: toyKey, isRepaired)
    case 4: checkIPv6(bytes, key: nil, isRepaired)
    case 5: checkIPv6(bytes, key: toyKey, isRepaired)
    case 6: checkARP(bytes)
    case 7: checkSolicitation(repairedNeighborMessage(bytes, isRepaired))
    default: checkAdvertisement(repairedNeighborMessage(bytes, isRepaired))
    }
    return 0
}

/// A key whose tags a fuzzer can guess: nothing but zeros.
private let toyKey = AdvertisementKey(bytes: [0]) { _, _ in [UInt8](repeating: 0, count: 32) }

private let everyID = Array(UInt8.min...UInt8.max)

private func checkIPv4(
    _ bytes: [UInt8], _ version: AdvertisementVersion, key: AdvertisementKey?, _ isRepaired: Bool
) {
    var packet = bytes
    if isRepaired, let first = packet.first { repair(&packet, from: Int(first & 0x0F) * 4, nil) }
    var decoder = AdvertisementDecoder(
        AdvertisementPolicy(virtualRouterIDs: everyID, version: version, key: key))
    guard let received = try? decoder.decode(ipv4Packet: packet.span.bytes) else { return }
    check(received, byteCount: packet.count, key: key)
    guard key != nil else { return }
    precondition((try? decoder.decode(ipv4Packet: packet.span.bytes)) == nil, "served twice")
}

private func checkIPv6(_ bytes: [UInt8], key: AdvertisementKey?, _ isRepaired: Bool) {
    guard bytes.count >= 40 else { return }
    let source = address(bytes, 8)
    let destination = address(bytes, 24)
    var packet = bytes
    if isRepaired { repair(&packet, from: 40, (source, destination)) }
    let message = Array(packet[40...])
    var decoder = AdvertisementDecoder(
        AdvertisementPolicy(virtualRouterIDs: everyID, family: .ipv6, key: key))
    for isFirst in [true, false] {
        guard
            let received = try? decoder.decode(
                ipv6Message: message.span.bytes, source: source, destination: destination,
                hopLimit: bytes[7])
        else { break }
        precondition(isFirst || key == nil, "served twice")
        check(received, byteCount: message.count, key: key)
    }
}

/// What was taken is bounded, and sent again in the same form is taken as the same.
private func check(_ received: ReceivedAdvertisement, byteCount: Int, key: AdvertisementKey?) {
    let advertisement = received.advertisement
    let family = advertisement.family
    precondition(!advertisement.addresses.isEmpty)
    precondition(advertisement.addresses.count <= Advertisement.addressCountMax)
    precondition(advertisement.addresses.count * family.addressByteCount <= byteCount)
    precondition(advertisement.addresses.allSatisfy { $0.family == family })
    precondition((1...25_500).contains(advertisement.intervalCentiseconds))
    precondition(!received.source.isAny && !received.source.isMulticast)
    _ = advertisement.listsSameAddresses(as: advertisement.addresses.sorted())

    guard let written = rewritten(received, key: key) else {
        preconditionFailure("what we write does not read")
    }
    precondition(written.advertisement == advertisement)
    precondition(written.checksumForm == received.checksumForm)
}

private func rewritten(
    _ received: ReceivedAdvertisement, key: AdvertisementKey?
) -> ReceivedAdvertisement? {
    let advertisement = received.advertisement
    let source = received.source
    let destination = received.destination
    let message = encoded(received, key: key)
    var decoder = AdvertisementDecoder(
        AdvertisementPolicy(
            virtualRouterIDs: [advertisement.virtualRouterID], version: advertisement.version,
            family: advertisement.family, key: key))
    switch (source, destination) {
    case (.v6(let source), .v6(let destination)):
        return try? decoder.decode(
            ipv6Message: message.span.bytes, source: source, destination: destination,
            hopLimit: 255)
    case (.v4(let source), .v4(let destination)):
        var packet: [UInt8] = [0x45, 0]
        packet.appendBigEndian(UInt16(20 + message.count))
        packet += [0, 0, 0, 0, 255, Advertisement.protocolNumber, 0, 0]
        packet.appendBigEndian(source.rawValue)
        packet.appendBigEndian(destination.rawValue)
        packet += message
        return try? decoder.decode(ipv4Packet: packet.span.bytes)
    default: preconditionFailure("two families in one header")
    }
}

private func encoded(_ received: ReceivedAdvertisement, key: AdvertisementKey?) -> [UInt8] {
    guard let key else {
        return received.advertisement.encoded(
            checksum: received.checksumForm, source: received.source,
            destination: received.destination)
    }
    var signer = AdvertisementSigner(key: key, bootNonce: 1)
    return received.advertisement.encoded(
        checksum: received.checksumForm, source: received.source,
        destination: received.destination, signer: &signer)
}

private func checkARP(_ bytes: [UInt8]) {
    guard let packet = ARPPacket(frame: bytes.span.bytes) else { return }
    let written = packet.frame(to: .broadcast)
    precondition(written.count == ARPPacket.frameByteCount && written.count <= bytes.count)
    precondition(ARPPacket(frame: written.span.bytes) == packet)
    precondition((packet.claim == nil) == (packet.senderAddress == .any))
}

/// Every question that is taken can be answered, and every answer is one.
private func checkSolicitation(_ bytes: [UInt8]) {
    guard let question = try? NeighborSolicitation(frame: bytes.span.bytes) else { return }
    precondition(!question.target.isMulticast && !question.source.isMulticast)
    let mac = HardwareAddress(rawValue: 0x0242_AC11_0002)
    let frame = NeighborAdvertisement.answer(to: question, mac: mac)
    precondition(frame.count == 86)
    guard let answer = try? NeighborAdvertisement(frame: frame.span.bytes) else {
        preconditionFailure("what we answer does not read")
    }
    precondition(answer.isSolicited == (question.source != .any))
    precondition(answer.claim == AddressClaim(address: .v6(question.target), mac: mac))
}

private func checkAdvertisement(_ bytes: [UInt8]) {
    guard let answer = try? NeighborAdvertisement(frame: bytes.span.bytes) else { return }
    precondition(!answer.target.isMulticast)
    precondition(!(answer.isSolicited && answer.destination.isMulticast))
}

private func address(_ bytes: [UInt8], _ offset: Int) -> IPv6Address {
    let halves = stride(from: offset, to: offset + 16, by: 8).map { start in
        bytes[start..<(start + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
    return IPv6Address(high: halves[0], low: halves[1])
}

/// Makes the checksum at byte 6 of a VRRP message right.
private func repair(
    _ packet: inout [UInt8], from offset: Int, _ ends: (IPv6Address, IPv6Address)?
) {
    guard packet.count >= offset + 8 else { return }
    seal(&packet, message: offset..<packet.count, field: offset + 6, ends, protocolNumber: 112)
}

private func repairedNeighborMessage(_ bytes: [UInt8], _ isRepaired: Bool) -> [UInt8] {
    guard isRepaired, bytes.count >= 58 else { return bytes }
    let end = 54 + (Int(bytes[18]) << 8 | Int(bytes[19]))
    guard end >= 58, end <= bytes.count else { return bytes }
    var frame = bytes
    let ends = (address(bytes, 22), address(bytes, 38))
    seal(&frame, message: 54..<end, field: 56, ends, protocolNumber: 58)
    return frame
}

private func seal(
    _ bytes: inout [UInt8], message: Range<Int>, field: Int, _ ends: (IPv6Address, IPv6Address)?,
    protocolNumber: UInt16
) {
    bytes[field] = 0
    bytes[field + 1] = 0
    var sum = InternetChecksum()
    if let ends {
        for byte in ends.0.octets + ends.1.octets { sum.add(byte: byte) }
        sum.add(word: UInt16(truncatingIfNeeded: message.count))
        sum.add(word: protocolNumber)
    }
    for byte in bytes[message] { sum.add(byte: byte) }
    bytes[field] = UInt8(sum.value >> 8)
    bytes[field + 1] = UInt8(sum.value & 0xFF)
}
