// SPDX-License-Identifier: Apache-2.0
//
// Refused messages by reason, one cell for each reason.

internal import HTTPCore

/// One counter for each reason to refuse a message.
final class FaultTallies: Sendable {
    private final class Cell: Sendable {
        let tally = Tally()
    }

    private let cells = MessageFault.allCases.map { _ in Cell() }

    /// Counts one refused message; only the owning worker may call this.
    func add(_ fault: MessageFault) {
        cells[Int(fault.rawValue)].tally.add()
    }

    func value(of fault: MessageFault) -> UInt64 {
        cells[Int(fault.rawValue)].tally.value
    }
}
