// SPDX-License-Identifier: Apache-2.0
//
// Addresses that are on this node without the LAN being told: before a planned takeover, so that
// connections can begin here, and after one, so that connections can end here.

internal import Telemetry
internal import VRRPCore
internal import WireCore

extension Speaker {
    /// Whether `prepare` has a chance.
    var mayPrepare: Bool {
        faults.isEmpty && machine.mayTakeHandover && !machine.isLingering
            && !ports.announcer.isNeverQuiet
    }

    /// Adds the addresses quietly, ready for `takeOver`.
    ///
    /// - Returns: false when this node could not become Active, still lingers from the last
    ///   planned takeover, or the kernel refused.
    public func prepare() -> Bool {
        step()
        guard mayPrepare else { return false }
        if status.isPrepared { return true }
        isQuiet = true
        ports.announcer.isQuiet = true
        do throws(VirtualAddressError) {
            try keeper.take()
        } catch {
            logger.error("[\(surroundings.label)] cannot prepare the addresses: \(error)")
            // Those that were added before the refused one.
            dropAddresses()
            return false
        }
        ports.announcer.hold(settings.addresses)
        status.heldAddresses = settings.addresses
        status.isPrepared = true
        publish()
        return true
    }

    /// Takes prepared addresses away again; harmless when there are none.
    public func cancelPrepared() {
        guard status.isPrepared, machine.state != .active else { return }
        dropAddresses()
        publish()
    }

    /// Takes the addresses away; whatever is asked about them is not answered any more.
    func dropAddresses() {
        ports.announcer.letGo()
        ports.announcer.isQuiet = false
        isQuiet = false
        keeper.release()
        status.heldAddresses = []
        status.isPrepared = false
    }
}

extension Speaker: AddressKeeperOwner {
    func addressKeeperWillRenew() -> Bool {
        // An Active that overslept must not renew what another node has by now.
        step()
        return !isDoubtful
    }

    func addressKeeperPutBack() {
        ports.announcer.hold(settings.addresses)
        guard machine.state == .active else { return }
        announce()
    }

    func addressKeeperLost() {
        guard machine.state != .active else {
            refuse()
            return
        }
        if machine.isLingering {
            endLingering()
        } else {
            cancelPrepared()
        }
    }
}
