// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes what a peer can send: frames with and without a handshake, and behind a seal that any
// input has, what the pair link, the state channel and the shadow channels say. The first byte
// chooses the reader.

import ReplicationCore
import WireCore

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 0 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    switch start[0] & 7 {
    case 0: checkFrames(bytes, frameByteCountMax: LinkProtocol.frameByteCountMax)
    case 1: checkFrames(bytes, frameByteCountMax: LinkProtocol.replicationFrameByteCountMax)
    case 2: checkHandshakes(bytes)
    case 3: for frame in openedFrames(bytes) { checkFrame(frame) }
    case 4: checkTables(openedFrames(bytes))
    case 5: checkShadows(openedFrames(bytes))
    case 6: checkSections(bytes)
    default: _ = OverheardSegment(bytes.span.bytes)
    }
    return 0
}

/// A seal that a fuzzer can make: nothing is encrypted and every tag is zero.
private final class OpenCipher: LinkCipher {
    func seal(_ bytes: inout [UInt8], from start: Int, header: UInt32, sequence: UInt64) {
        bytes += [UInt8](repeating: 0, count: LinkProtocol.tagByteCount)
    }

    func open(_ text: inout [UInt8], tag: [UInt8], header: UInt32, sequence: UInt64) -> Bool {
        tag.allSatisfy { $0 == 0 }
    }
}

private let cryptography = LinkCryptography(
    hmacSHA256: { _, _ in [UInt8](repeating: 0, count: 32) }, constantTimeEquals: { $0 == $1 },
    makeCipher: { _ in OpenCipher() })

private func identity(_ ownName: String, _ peerName: String) -> LinkIdentity {
    LinkIdentity(ownName: ownName, peerName: peerName, secret: nil, cryptography: cryptography)
}

private let nonce = [UInt8](repeating: 0, count: LinkProtocol.nonceByteCount)

/// What is taken is bounded and encodes to the same bytes.
private func checkFrames(_ bytes: [UInt8], frameByteCountMax: Int) {
    for (frame, encoded) in frames(bytes, frameByteCountMax) {
        precondition(encoded.count <= frameByteCountMax)
        if case .refused(.unspecified) = frame { continue }
        precondition(LinkFrameEncoder.encode(frame) == encoded)
    }
}

private func frames(
    _ bytes: [UInt8], _ frameByteCountMax: Int
) -> [(frame: LinkFrame, bytes: [UInt8])] {
    var result: [(frame: LinkFrame, bytes: [UInt8])] = []
    var offset = 0
    while true {
        let rest = bytes.span.bytes.extracting(droppingFirst: offset)
        guard
            case .frame(let frame, let count) = try? LinkFrameDecoder.decode(
                rest, frameByteCountMax: frameByteCountMax)
        else { return result }
        precondition(count > 0 && count <= bytes.count - offset)
        result.append((frame, Array(bytes[offset..<(offset + count)])))
        offset += count
    }
}

/// Both ends of a handshake, then sealed frames in and out of order.
private func checkHandshakes(_ bytes: [UInt8]) {
    var acceptor = AcceptorHandshakeStateMachine(identity: identity("b", "a"), nonce: nonce)
    var dialler = DiallerHandshakeStateMachine(identity: identity("a", "b"))
    _ = dialler.start(nonce: nonce)
    var receiver: LinkReceiver?
    for (frame, _) in frames(bytes, LinkProtocol.replicationFrameByteCountMax) {
        if case .sealed(let sealed) = frame, var opened = receiver {
            guard let frame = try? opened.openFrame(sealed) else { return }
            receiver = opened
            checkFrame(frame)
            continue
        }
        if case .accept(_, let key) = acceptor.frameReceived(frame) {
            receiver = LinkReceiver(key: key, cryptography: cryptography)
        }
        _ = dialler.frameReceived(frame)
    }
}

/// Frames that need no seal: type (1), length (2), payload.
private func openedFrames(_ bytes: [UInt8]) -> [OpenedLinkFrame] {
    var reader = ByteReader(bytes.span.bytes)
    var result: [OpenedLinkFrame] = []
    while let type = reader.readUInt8(), let count = reader.readUInt16() {
        let count = min(Int(count), reader.remainingByteCount)
        result.append(OpenedLinkFrame(type: type, payload: reader.readBytes(count) ?? []))
    }
    return result
}

/// What reads, reads the same when it is written again.
private func checkFrame(_ frame: OpenedLinkFrame) {
    if let message = try? LinkMessage(frame) {
        switch message {
        case .heartbeat(let heartbeat):
            precondition(heartbeat.routers.count <= LinkProtocol.routerCountMax * 64)
        case .handover(let message):
            let again = message.payload
            precondition((try? HandoverMessage(payload: again.span.bytes)) == message)
        case .goodbye, .unknown:
            break
        }
    }
    if let opening = try? ChannelOpening(frame) {
        let again = OpenedLinkFrame(type: ChannelOpening.frameType, payload: opening.payload)
        precondition((try? ChannelOpening(again)) == opening)
    }
    if let message = try? StateMessage(frame) {
        let again = OpenedLinkFrame(type: message.type, payload: message.payload)
        precondition((try? StateMessage(again)) == message)
    }
    let payload = frame.payload
    if let message = try? ReplicationMessage(type: frame.type, payload: payload.span.bytes) {
        var table = PeerClientTable(clientCountMax: 64)
        table.apply(.snapshotBegan)
        table.apply(message)
        table.apply(.snapshotEnded(open: OpenClientCount(ipv4: 1)))
        precondition(table.count <= 64)
    }
}

/// A peer that says whatever it likes about tables: numbers stay in order, and nobody claims to be
/// in sync with a peer that did not say so.
private func checkTables(_ frames: [OpenedLinkFrame]) {
    var mirror = StateMirror()
    var feed = StateFeed(tableCount: 1, logByteCountMax: 200)
    var board = StateBoard(table: 3, node: "a", firstCount: 1)
    var now = Instant(nanoseconds: 1)
    var wasWhole = false
    mirror.channelBegan(incarnation: 1)
    feed.connected(token: 0)
    for frame in frames {
        now = now + .milliseconds(100)
        guard let message = (try? StateMessage(frame)) ?? nil else {
            // Anything else stands for a break of the connection.
            mirror.channelEnded()
            mirror.channelBegan(incarnation: UInt64(frame.type & 1))
            feed.disconnected()
            feed.connected(token: UInt64(frame.type))
            continue
        }
        if case .standing(let standing) = message {
            wasWhole = wasWhole || (standing.isComplete && standing.waitingCount == 0)
        }
        guard let effect = try? mirror.receive(message, at: now) else {
            precondition(!mirror.isInSync(at: now))
            return
        }
        switch effect {
        case .apply(let blob): board.apply(blob, now: now)
        case .acknowledged(let acknowledgement): feed.acknowledged(acknowledgement, at: now)
        case .nothing, .snapshotBegan, .snapshotEnded: break
        }
        _ = mirror.missingCount
        _ = mirror.acknowledgement
        precondition(wasWhole || !mirror.isInSync(at: now))
        push(&feed, now)
    }
    _ = board.takeArrived()
    precondition(board.count <= StateBoard.keyCountMax)
}

private func push(_ feed: inout StateFeed, _ now: Instant) {
    feed.wake()
    for _ in 0..<8 {
        switch feed.next(at: now) {
        case .nothing: return
        case .send: feed.sent()
        case .pullChanges:
            feed.pulled(StateBlob(table: 1, entryCount: 1, bytes: [1, 2, 3]), at: now)
        case .pullSnapshot(_, let cursor):
            feed.pulledSnapshot(
                StateBlob(table: 1, entryCount: 1, bytes: [1]), next: cursor < 2 ? cursor + 1 : nil,
                at: now)
        }
    }
}

/// Two workers' channels; the lowest bit of a type says whose, so that types stay in reach.
private func checkShadows(_ frames: [OpenedLinkFrame]) {
    var table = PeerShadowTable(connectionCountMax: 16, contentByteCountMax: 4_096)
    let now = Instant(nanoseconds: 1)
    for worker in 0..<2 { _ = table.channelBegan(worker: worker, incarnation: 1) }
    for frame in frames {
        let worker = Int(frame.type >> 7)
        switch frame.type & 0x7F {
        case ShadowFrame.recordsType:
            let payload = frame.payload
            try? ShadowRecord.forEach(in: payload.span.bytes) { id, record in
                checkRecord(record, id)
                table.apply(record, of: id, worker: worker, now: now)
            }
        case ShadowFrame.snapshotBeganType:
            table.snapshotBegan(worker: worker)
        case ShadowFrame.snapshotEndedType:
            table.snapshotEnded(worker: worker, openCount: UInt32(frame.payload.first ?? 0))
        case ShadowFrame.standingType:
            table.channelEnded(worker: worker, frame.payload.isEmpty ? .complete : .givenUp)
        default:
            _ = table.channelBegan(worker: worker, incarnation: UInt64(frame.payload.count))
        }
        precondition(table.count <= 16 && table.count >= 0)
    }
}

private func checkRecord(_ record: ShadowRecord, _ id: UInt32) {
    if case .asked(_, let content) = record, content.count > ShadowRecord.contentByteCountMax {
        return
    }
    if case .moved(_, let content) = record, content.count > ShadowRecord.contentByteCountMax {
        return
    }
    var bytes: [UInt8] = []
    bytes.append(record, of: id)
    var readAgain: [ShadowRecord] = []
    try? ShadowRecord.forEach(in: bytes.span.bytes) { readAgain.append($1) }
    precondition(readAgain == [record])
}

private func checkSections(_ bytes: [UInt8]) {
    guard let sections = try? StateSection.sections(of: bytes) else { return }
    for section in sections {
        precondition(section.entries.upperBound <= bytes.count)
        var count = 0
        let isRead = section.forEachEntry(in: bytes, byteCountMin: 4) { reader in
            precondition(reader.readUInt32() != nil)
            count += 1
        }
        precondition(!isRead || count == section.entryCount)
    }
}
