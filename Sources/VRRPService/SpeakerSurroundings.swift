// SPDX-License-Identifier: Apache-2.0
//
// What a speaker must know beside its router's settings: the other node, the neighbours on the
// interface, how adverts travel and are proven.

public import ConfigurationCore
public import VRRPCore
public import WireCore

/// Where a speaker stands.
public struct SpeakerSurroundings: Sendable {
    /// The virtual router's name.
    public var instance: VirtualRouterInstance
    /// What begins the speaker's log lines.
    public var label: String
    /// How adverts travel.
    public var transport: AdvertisementTransport
    /// The other node's own address; `nil` when only its adverts tell.
    public var peerAddress: IPAddress?
    /// Every VRID configured on the interface for the family, the own one included.
    public var virtualRouterIDs: [UInt8]
    /// Proves and demands proof of where adverts come from; `nil` does neither.
    public var authentication: AdvertisementAuthenticator?
    /// The configured name of what moves together; `nil` for none.
    public var group: String?
    /// What silence is enough to take over.
    public var takeover: TakeoverMode

    /// Describes the surroundings.
    public init(
        instance: VirtualRouterInstance, transport: AdvertisementTransport,
        peerAddress: IPAddress?, virtualRouterIDs: [UInt8], label: String? = nil,
        authentication: AdvertisementAuthenticator? = nil, group: String? = nil,
        takeover: TakeoverMode = .safe
    ) {
        self.instance = instance
        self.label = label ?? instance.description
        self.transport = transport
        self.peerAddress = peerAddress
        self.virtualRouterIDs = virtualRouterIDs
        self.authentication = authentication
        self.group = group
        self.takeover = takeover
    }
}

/// The key of signed adverts and the life that signs them.
public struct AdvertisementAuthenticator: Sendable {
    /// The key both nodes share.
    public var key: AdvertisementKey
    /// Wall clock nanoseconds at the start of this process: tells its life from earlier ones.
    public var bootNonce: UInt64

    /// Joins key and life.
    public init(key: AdvertisementKey, bootNonce: UInt64) {
        self.key = key
        self.bootNonce = bootNonce
    }

    /// One signer for one virtual router.
    func makeSigner() -> AdvertisementSigner {
        AdvertisementSigner(key: key, bootNonce: bootNonce)
    }
}

extension SpeakerSurroundings {
    /// Where adverts go.
    func destination(_ settings: VirtualRouterSettings) -> IPAddress? {
        switch transport {
        case .multicast: Advertisement.group(of: instance.family)
        case .unicast: peerAddress
        }
    }

    /// What the receive checks demand.
    func policy(_ settings: VirtualRouterSettings) -> AdvertisementPolicy {
        var policy = AdvertisementPolicy(virtualRouterIDs: virtualRouterIDs)
        policy.version = settings.version
        policy.family = instance.family
        policy.checksum = settings.checksumForm
        policy.key = authentication?.key
        policy.ownAddress = settings.primaryAddress.isAny ? nil : settings.primaryAddress
        switch transport {
        case .multicast:
            policy.destination = Advertisement.group(of: instance.family)
        case .unicast:
            policy.destination = policy.ownAddress
            policy.peer = peerAddress
        }
        if settings.version == .version2 {
            policy.version2IntervalCentiseconds = settings.advertisementIntervalCentiseconds
        }
        return policy
    }

    /// Stands for an address of the instance's family that nobody knows.
    var unknownAddress: IPAddress { Self.unknownAddress(of: instance.family) }

    static func unknownAddress(of family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: .v4(.any)
        case .ipv6: .v6(.any)
        }
    }
}
