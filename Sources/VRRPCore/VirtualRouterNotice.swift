// SPDX-License-Identifier: Apache-2.0
//
// What a virtual router saw that an operator should know, and that changes no state by itself.

public import WireCore

/// Something worth a log line that changes no state.
public struct VirtualRouterNotice: Hashable, Sendable {
    /// What was seen.
    public var kind: Kind
    /// Who sent it; the own address when nobody did.
    public var source: IPAddress
    /// What was got, in the unit of the kind.
    public var got: UInt64
    /// What was wanted, in the same unit.
    public var wanted: UInt64
    /// For `addressesDiffer`: one address of many.
    public var example: AddressDifference?

    /// How a list of addresses differs from ours.
    public enum AddressDifference: Hashable, Sendable {
        /// It has this one, which ours has not.
        case extra(IPAddress)
        /// It lacks this one of ours.
        case missing(IPAddress)
    }

    /// The kinds, each reported at a limited rate; the raw value serves in logs and metrics.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// Max Advertise Interval differs, in centiseconds; kept (RFC 9568 §7.1).
        ///
        /// Version 2 drops it (RFC 3768 §7.1).
        case intervalDiffers = "interval_differs"
        /// The address list differs, in number of addresses; kept (RFC 9568 §7.1).
        case addressesDiffer = "addresses_differ"
        /// We are the owner and hear an advert, its priority; kept (RFC 9568 §7.1, erratum 8298).
        case heardAsOwner = "heard_as_owner"
        /// Two routers with priority 255 (RFC 9568 §8.3.2).
        case secondOwner = "second_owner"
        /// Another router has our priority (RFC 9568 §8.3.2).
        case samePriority = "same_priority"
        /// Our own priority and address came back: a loop or a copied address (A6).
        case samePriorityAndAddress = "same_priority_and_address"
        /// The sender's checksum form is not the one we send: it may be dropping ours.
        ///
        /// Each by the number of its RFC.
        case checksumFormDiffers = "checksum_form_differs"
        /// A worse router thinks it is the Active, its priority: a split just healed (A5).
        case lowerPriorityActive = "lower_priority_active"
        /// We ran too late, in milliseconds of silence, and gave the addresses up.
        case overslept = "overslept"
        /// We ran too late, in milliseconds of silence, but the peer has not taken over.
        case notReplaced = "not_replaced"
        /// We would take over but the witness does not answer, in milliseconds since it is so.
        case heldByWitness = "held_by_witness"
        /// We would take over but run another configuration, in milliseconds since it is so.
        case heldByConfiguration = "held_by_configuration"
        /// Adverts fell silent, in milliseconds, but on the pair link the Active lives.
        case linkOverridesSilence = "link_overrides_silence"
        /// Somebody else answers for one of our addresses, by MAC; announced again.
        case addressConflict = "address_conflict"
        /// The sender speaks another protocol version; dropped (RFC 9568 §7.1).
        case versionDiffers = "version_differs"
        /// An advert from a router that is proven dead, its priority: sent before it died.
        case advertOfTheDead = "advert_of_the_dead"
    }

    /// Makes a notice.
    public init(
        _ kind: Kind, source: IPAddress, got: UInt64, wanted: UInt64,
        example: AddressDifference? = nil
    ) {
        self.kind = kind
        self.source = source
        self.got = got
        self.wanted = wanted
        self.example = example
    }
}

extension VirtualRouterNotice: CustomStringConvertible {
    /// `interval_differs: 10.0.0.2 got 100, wanted 10`, or a sentence where numbers mislead.
    public var description: String { "\(kind.rawValue): \(text)" }

    private var text: String {
        switch kind {
        case .addressConflict: "\(source) is at \(HardwareAddress(rawValue: got)) as well"
        case .checksumFormDiffers: checksumText
        case .addressesDiffer: addressesText
        case .heldByWitness:
            "this node's takeover is held, its witness has not answered for \(got)ms"
        case .heldByConfiguration:
            "this node's takeover is held, the configurations have differed for \(got)ms"
        default: "\(source) got \(got), wanted \(wanted)"
        }
    }

    private var checksumText: String {
        let advice =
            got == 5798
            ? "set checksum: rfc5798" : "remove checksum: rfc5798 or make the peer use it"
        return "\(source) sends the RFC \(got) form, this node the RFC \(wanted) form: "
            + "it may be dropping our adverts; \(advice)"
    }

    private var addressesText: String {
        switch example {
        case .extra(let address): "\(source) has \(address), which this node has not"
        case .missing(let address): "\(source) lacks \(address), which this node has"
        case nil: "\(source) lists \(got) addresses, this node \(wanted)"
        }
    }
}
