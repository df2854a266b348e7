// SPDX-License-Identifier: Apache-2.0
//
// The receiving side of authentication: what each sender said last, so that nothing serves twice.

internal import WireCore

/// The highest numbers heard from each sender; only authentic adverts get in.
///
/// An advert counts when its sequence is greater than all before of the same process, or when its
/// process is newer. An advert that another one overtook is dropped with the replays: it says
/// nothing that the later one did not.
struct ReplayWindow: Sendable {
    /// How many senders are told apart; further ones are refused, for to forget one would be to
    /// accept what it sent long ago.
    static let senderCountMax = 64

    private struct Sender: Sendable {
        var address: IPAddress
        var virtualRouterID: UInt8
        var bootNonce: UInt64
        var sequence: UInt64
    }

    private var senders: [Sender] = []

    /// Why an advert with these numbers cannot be taken; cheap, so it is asked before the hash.
    func objection(
        to trailer: AuthenticationTrailer, from address: IPAddress, virtualRouterID: UInt8
    ) -> AdvertisementError? {
        guard let index = index(of: address, virtualRouterID) else {
            guard senders.count < Self.senderCountMax else {
                return AdvertisementError(
                    .authenticationSenders, got: senders.count + 1, wanted: Self.senderCountMax)
            }
            return nil
        }
        let known = senders[index]
        if trailer.bootNonce > known.bootNonce { return nil }
        if trailer.bootNonce < known.bootNonce {
            return AdvertisementError(
                .authenticationReplay, got: Int(clamping: trailer.bootNonce),
                wanted: Int(clamping: known.bootNonce))
        }
        guard trailer.sequence > known.sequence else {
            return AdvertisementError(
                .authenticationReplay, got: Int(clamping: trailer.sequence),
                wanted: Int(clamping: known.sequence.addingReportingOverflow(1).partialValue))
        }
        return nil
    }

    /// Keeps the numbers of an authentic advert that there was no objection to.
    mutating func accept(
        _ trailer: AuthenticationTrailer, from address: IPAddress, virtualRouterID: UInt8
    ) {
        assert(objection(to: trailer, from: address, virtualRouterID: virtualRouterID) == nil)
        let sender = Sender(
            address: address, virtualRouterID: virtualRouterID, bootNonce: trailer.bootNonce,
            sequence: trailer.sequence)
        if let index = index(of: address, virtualRouterID) {
            senders[index] = sender
        } else {
            senders.append(sender)
        }
        assert(senders.count <= Self.senderCountMax)
    }

    /// Trusts a process whatever was heard before; see `AdvertisementDecoder.expect`.
    mutating func expect(bootNonce: UInt64, from address: IPAddress) {
        for index in senders.indices
        where senders[index].address == address && senders[index].bootNonce != bootNonce {
            senders[index].bootNonce = bootNonce
            senders[index].sequence = 0
        }
    }

    private func index(of address: IPAddress, _ virtualRouterID: UInt8) -> Int? {
        senders.firstIndex { $0.address == address && $0.virtualRouterID == virtualRouterID }
    }
}
