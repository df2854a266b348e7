// SPDX-License-Identifier: Apache-2.0
//
// The requests that wait for room in one pool, on one worker: first come, first served. The links
// are in the records of their clients, so that one in the middle can leave at once and waiting
// takes no memory.

/// First and last of a line of clients.
struct WaitingLine {
    /// No slot.
    static let nobody = UInt32.max

    var first = WaitingLine.nobody
    var last = WaitingLine.nobody
    var count = 0
}

extension ConnectionTable<ClientConnection> {
    /// Puts a client behind all others, or before them.
    func append(
        _ client: ClientConnection.Pointer, to line: inout WaitingLine, isFirst: Bool = false
    ) {
        let slot = UInt32(truncatingIfNeeded: slot(of: client))
        client.pointee.lineNext = isFirst ? line.first : WaitingLine.nobody
        client.pointee.linePrevious = isFirst ? WaitingLine.nobody : line.last
        if let other = record(line: isFirst ? line.first : line.last) {
            if isFirst {
                other.pointee.linePrevious = slot
            } else {
                other.pointee.lineNext = slot
            }
        }
        if isFirst || line.count == 0 { line.first = slot }
        if !isFirst || line.count == 0 { line.last = slot }
        line.count &+= 1
    }

    /// Takes a client out, wherever it is.
    func remove(_ client: ClientConnection.Pointer, from line: inout WaitingLine) {
        let next = client.pointee.lineNext
        let previous = client.pointee.linePrevious
        if let other = record(line: previous) {
            other.pointee.lineNext = next
        } else {
            line.first = next
        }
        if let other = record(line: next) {
            other.pointee.linePrevious = previous
        } else {
            line.last = previous
        }
        client.pointee.lineNext = WaitingLine.nobody
        client.pointee.linePrevious = WaitingLine.nobody
        line.count &-= 1
    }

    /// The client that has waited longest.
    func first(of line: WaitingLine) -> ClientConnection.Pointer? { record(line: line.first) }

    private func record(line slot: UInt32) -> ClientConnection.Pointer? {
        slot == WaitingLine.nobody ? nil : record(slot: Int(slot))
    }
}
