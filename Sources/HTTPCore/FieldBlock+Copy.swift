// SPDX-License-Identifier: Apache-2.0
//
// Copying field lines in runs of adjacent ones: all but those that end here.

extension FieldBlock {
    /// Copies all lines but those in `dropped` and those that `Connection` names.
    @inline(__always)
    func copyLines(
        _ base: UnsafePointer<UInt8>, without dropped: KnownFieldSet, _ writer: inout ByteWriter
    ) {
        var index = 0
        var runStart = -1
        while index < count {
            let slot = unsafe slots + index
            if unsafe dropped.contains(slot.pointee.field) || slot.pointee.isConnectionSpecific {
                if runStart >= 0 {
                    let runEnd = unsafe Int(slot.pointee.lineOffset)
                    unsafe writer.append(base + runStart, count: runEnd &- runStart)
                    runStart = -1
                }
            } else if runStart < 0 {
                runStart = unsafe Int(slot.pointee.lineOffset)
            }
            index &+= 1
        }
        if runStart >= 0 {
            unsafe writer.append(base + runStart, count: sectionEnd &- runStart)
        }
    }

    /// The same without the lines that `edits` drop.
    func copyLines(
        _ base: UnsafePointer<UInt8>, without fields: KnownFieldSet, edits: HeadEditList,
        _ writer: inout ByteWriter
    ) {
        let dropped = fields.union(edits.known)
        guard edits.dropsOthers else {
            unsafe copyLines(base, without: dropped, &writer)
            return
        }
        var index = 0
        var runStart = -1
        while index < count {
            let slot = slot(index)
            let offset = Int(slot.lineOffset)
            let isEdited =
                slot.field == .other
                ? unsafe edits.dropsOther(base + offset, count: Int(slot.nameByteCount))
                : dropped.contains(slot.field)
            if isEdited || slot.isConnectionSpecific {
                if runStart >= 0 {
                    unsafe writer.append(base + runStart, count: offset &- runStart)
                    runStart = -1
                }
            } else if runStart < 0 {
                runStart = offset
            }
            index &+= 1
        }
        if runStart >= 0 {
            unsafe writer.append(base + runStart, count: sectionEnd &- runStart)
        }
    }

    /// Copies all lines with one known name.
    func copyLines(
        _ input: UnsafeRawBufferPointer, of field: KnownField, _ writer: inout ByteWriter
    ) {
        guard let start = input.baseAddress else { return }
        let base = unsafe start.assumingMemoryBound(to: UInt8.self)
        var index = 0
        while index < count {
            let slot = slot(index)
            if slot.field == field {
                let offset = Int(slot.lineOffset)
                unsafe writer.append(base + offset, count: lineEnd(index) &- offset)
            }
            index &+= 1
        }
    }

    /// Appends the values of all lines with one known name as the start of a list, each followed
    /// by a comma (RFC 9110 §5.3); never longer than the lines were.
    func appendValues(
        _ base: UnsafePointer<UInt8>, of field: KnownField, _ writer: inout ByteWriter
    ) {
        guard seen.contains(field) else { return }
        var index = 0
        while index < count {
            let slot = slot(index)
            if slot.field == field, slot.valueByteCount > 0 {
                unsafe writer.append(
                    base + Int(slot.valueOffset), count: Int(slot.valueByteCount))
                writer.append(", ")
            }
            index &+= 1
        }
    }
}
