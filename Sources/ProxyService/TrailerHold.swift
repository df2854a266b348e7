// SPDX-License-Identifier: Apache-2.0
//
// The trailers of one body on its way through, and the memory they are in until the body ends.

internal import HTTPCore

/// The trailers of a chunked body while it passes.
struct TrailerHold {
    /// They may go on: the receiving side is sent chunks, has said that it takes trailers (a
    /// client), and no `Connection` option names a field (RFC 9110 §7.6.1, §10.1.4).
    let isWanted: Bool
    var section = TrailerSection()
    /// Attached when the first trailer comes.
    var memory = ByteBuffer()

    init(isWanted: Bool) {
        self.isWanted = isWanted
    }
}

extension Worker {
    /// The request of a client is sent, maybe once more: its trailers will be new.
    mutating func awaitTrailers(_ client: ClientConnection.Pointer) {
        forgetTrailers(client)
        guard client.pointee.isBodyChunked else { return }
        let hold = UnsafeMutablePointer<TrailerHold>.allocate(capacity: 1)
        hold.initialize(to: TrailerHold(isWanted: !request.connectionNamesFields))
        client.pointee.trailers = hold
    }

    /// The request of a client is over, or will be sent anew.
    @inline(__always)
    mutating func forgetTrailers(_ client: ClientConnection.Pointer) {
        guard let hold = client.pointee.trailers else { return }
        client.pointee.trailers = nil
        buffers.giveBack(&hold.pointee.memory)
        hold.deallocate()
    }

    /// The first trailer has come: finds a place for it, or lets all of them go.
    mutating func decideTrailers(_ hold: inout TrailerHold) {
        guard hold.isWanted, !buffers.isOverLimit else {
            hold.section.drop()
            return
        }
        hold.memory = buffers.takeSmall()
        hold.section.keep(
            in: UnsafeMutableRawBufferPointer(
                start: hold.memory.base, count: TrailerSection.byteCountMax))
    }

    /// Writes the end of a chunked body at `end` of `chunkScratch`, with its trailers.
    mutating func writeBodyEnd(_ hold: inout TrailerHold, at end: inout Int) {
        let lines = hold.section.fieldLines
        let place = UnsafeMutableRawBufferPointer(rebasing: chunkScratch[end...])
        end &+= TrailerFilter.writeLastChunk(with: lines, into: place) ?? 0
        buffers.giveBack(&hold.memory)
    }
}
