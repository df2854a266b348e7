// SPDX-License-Identifier: Apache-2.0
//
// Why a name has no good answer now.

public import WireCore

/// What the last question for a name brought instead of records.
public enum NameTrouble: Hashable, Sendable {
    /// Nothing was learned; what was known is still believed.
    case failed(NameLookupFailure)
    /// The name does not exist.
    case noSuchName
    /// The name has no records of the kind asked for.
    case noRecords
    /// It has records, none of which can be connected to.
    case noUsableRecords

    /// True when the servers answered: the addresses are gone, unless they come back in time.
    public var isNegativeAnswer: Bool {
        switch self {
        case .failed: false
        case .noSuchName, .noRecords, .noUsableRecords: true
        }
    }

    /// The stable word for logs and metrics.
    public var token: StaticString {
        switch self {
        case .failed(let failure): failure.token
        case .noSuchName: "no_such_name"
        case .noRecords: "no_records"
        case .noUsableRecords: "no_usable_records"
        }
    }
}
