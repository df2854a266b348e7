// SPDX-License-Identifier: Apache-2.0
//
// How every table of the data plane reads what the peer tells, and counts what became of it.

internal import ReplicationCore
internal import WireCore

extension SharedStateTally {
    /// The sections of a piece; none, and a fault, when it cannot be read.
    func sections(of blob: StateBlob) -> [StateSection] {
        do throws(StateFault) {
            return try StateSection.sections(of: blob.bytes)
        } catch {
            count { $0.faults &+= 1 }
            return []
        }
    }

    /// Calls `take` with every entry of a piece that is about something this node has.
    ///
    /// - Parameters:
    ///   - blob: the piece.
    ///   - entryByteCount: the bytes that an entry has at least.
    ///   - target: what a section is about; `nil` when this node has no such thing.
    ///   - take: takes an entry and counts what became of it.
    func read<Target>(
        _ blob: StateBlob, entryByteCount: Int, about target: (StateSection) -> Target?,
        _ take: (inout ByteReader, Target, inout StateTally) -> Void
    ) {
        var tally = StateTally()
        for section in sections(of: blob) {
            tally.received &+= UInt64(section.entryCount)
            guard let target = target(section) else {
                tally.unknown &+= UInt64(section.entryCount)
                continue
            }
            let isRead = section.forEachEntry(in: blob.bytes, byteCountMin: entryByteCount) {
                take(&$0, target, &tally)
            }
            if !isRead { tally.faults &+= 1 }
        }
        count { $0 += tally }
    }

    /// Ends a piece for the peer and counts its entries; `nil` when it has none.
    func finish(_ writer: inout StateSectionWriter, table: UInt8) -> StateBlob? {
        let entryCount = UInt64(writer.entryCount)
        if entryCount > 0 { count { $0.sent &+= entryCount } }
        return writer.blob(table: table)
    }
}

extension StateSectionWriter {
    /// Begins a piece that fits into what the stream takes at once.
    init(fitting byteCountMax: Int) {
        self.init(byteCountMax: min(byteCountMax, StateBlob.byteCountMax))
    }
}
