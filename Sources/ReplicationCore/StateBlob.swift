// SPDX-License-Identifier: Apache-2.0
//
// A piece of a replicated table as it crosses the link. What its bytes mean is the table's.

/// Some entries of one table.
public struct StateBlob: Hashable, Sendable {
    /// The longest content.
    public static let byteCountMax = 60 * 1024

    /// Which table.
    public var table: UInt8
    /// How many entries the bytes tell.
    public var entryCount: Int
    /// The entries, in the table's own form.
    public var bytes: [UInt8]

    /// Makes a blob from its parts.
    public init(table: UInt8, entryCount: Int, bytes: [UInt8]) {
        self.table = table
        self.entryCount = entryCount
        self.bytes = bytes
    }
}
