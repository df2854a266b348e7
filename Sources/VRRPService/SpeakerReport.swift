// SPDX-License-Identifier: Apache-2.0
//
// A virtual router's numbers and last status, written on its thread and read on any. How they look
// as metrics is in SpeakerReport+Metrics.swift.

internal import Synchronization
public import Telemetry
public import VRRPCore
internal import WireCore

/// What a virtual router counted and how it stands; safe to read from any thread.
public final class SpeakerReport: MetricSource {
    /// Adverts that the network did not take.
    public let sendFailures = Counter()
    /// What keeping the addresses counted.
    public let lease = LeaseCounters()
    /// Times one of our virtual addresses was seen on an interface that is not ours.
    public let strayAddresses = Counter()
    /// State changes.
    public let transitions = Counter()
    /// Times the LAN was asked who has the addresses.
    public let probes = Counter()
    /// Times nobody else answered.
    public let verifiedAnnouncements = Counter()

    let lateness = SpeakerTimerLateness()
    let takeovers = FailoverRecord.Reason.allCases.map { _ in Counter() }
    let dropped = AdvertisementError.Reason.allCases.map { _ in Counter() }
    let checksums = ChecksumForm.allCases.map { _ in Counter() }
    private let shared: Mutex<SpeakerStatus>

    init(_ status: SpeakerStatus) {
        shared = Mutex(status)
    }

    /// How the virtual router stood when its thread last looked.
    public var status: SpeakerStatus {
        shared.withLock { $0 }
    }

    /// How many packets failed a receive check.
    public func droppedCount(_ reason: AdvertisementError.Reason) -> UInt64 {
        dropped[Self.index(of: reason)].value
    }

    /// Everything dropped.
    public var droppedCount: UInt64 {
        dropped.reduce(0) { $0 &+ $1.value }
    }

    /// How often this node took over for a reason.
    public func takeoverCount(_ reason: FailoverRecord.Reason) -> UInt64 {
        takeovers[Self.index(of: reason)].value
    }

    func publish(_ status: SpeakerStatus) {
        shared.withLock { $0 = status }
    }

    func countDropped(_ reason: AdvertisementError.Reason) {
        dropped[Self.index(of: reason)].add()
    }

    func countTakeover(_ reason: FailoverRecord.Reason) {
        takeovers[Self.index(of: reason)].add()
    }

    func countReceived(_ received: ReceivedAdvertisement) {
        checksums[Self.index(of: received.checksumForm)].add()
    }

    private static func index<Case: CaseIterable & Equatable>(of value: Case) -> Int {
        Array(Case.allCases).firstIndex(of: value) ?? 0
    }
}
