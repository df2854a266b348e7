// SPDX-License-Identifier: Apache-2.0
//
// What the two questions for a host say together.

internal import WireCore

/// The A and AAAA answers of a host as one.
enum HostReading: Hashable {
    /// Addresses in order, each once, at most the limit; `trouble` when one question failed and
    /// what was known of its family is kept.
    case addresses([IPAddress], ttl: TimeSpan, leftOutCount: Int, trouble: NameTrouble?)
    /// There is nothing to connect to.
    case trouble(NameTrouble)

    /// Reads both answers.
    ///
    /// - Parameters:
    ///   - lookup: how both questions ended.
    ///   - known: the addresses known before.
    ///   - limit: addresses kept at most.
    init(_ lookup: HostLookup, known: [IPAddress], limit: Int) {
        var found: [IPAddress] = []
        var ttl: TimeSpan?
        var failure: NameLookupFailure?
        var isNameMissing = false
        for (outcome, isV4) in [(lookup.v4, true), (lookup.v6, false)] {
            switch outcome {
            case .records(let addresses, let valid):
                found += addresses
                ttl = min(ttl ?? valid, valid)
            case .noRecords:
                break
            case .noSuchName:
                isNameMissing = true
            case .failed(let reason):
                failure = failure ?? reason
                found += known.filter { $0.isV4 == isV4 }
            }
        }
        guard let ttl else {
            // RFC 8020 §2: a name that does not exist has no records of any type.
            if isNameMissing {
                self = .trouble(.noSuchName)
            } else {
                self = .trouble(failure.map { .failed($0) } ?? .noRecords)
            }
            return
        }
        let usable = Set(found.compactMap(\.connectable)).sorted { $0.precedes($1) }
        guard !usable.isEmpty else {
            self = .trouble(.noUsableRecords)
            return
        }
        let kept = Array(usable.prefix(max(1, limit)))
        self = .addresses(
            kept, ttl: ttl, leftOutCount: usable.count - kept.count,
            trouble: failure.map { .failed($0) })
    }
}

extension IPAddress {
    fileprivate var isV4: Bool {
        switch self {
        case .v4: true
        case .v6: false
        }
    }

    /// The address as it can be connected to: mapped ones as IPv4, `nil` for those that are no
    /// host's (unspecified, multicast, broadcast) or need an interface (link-local IPv6).
    fileprivate var connectable: IPAddress? {
        switch self {
        case .v4(let address):
            let raw = address.rawValue
            return raw >> 24 == 0 || raw >> 28 >= 0xE ? nil : self
        case .v6(let address):
            if address.high == 0, address.low >> 32 == 0xFFFF {
                let mapped = IPv4Address(rawValue: UInt32(truncatingIfNeeded: address.low))
                return IPAddress.v4(mapped).connectable
            }
            if address == .any || address.high >> 56 == 0xFF { return nil }
            return address.high >> 54 == 0xFE80 >> 6 ? nil : self
        }
    }
}
