// SPDX-License-Identifier: Apache-2.0
//
// From SRV records and the addresses of the hosts they name to backends.

internal import WireCore

extension NameTable {
    /// The hosts that a service's records name, each once.
    private func hostsNamed(by service: Service) -> Set<String> {
        Set((service.machine.value ?? []).map(\.host))
    }

    /// Services whose records name a host, in order.
    func servicesNaming(_ host: String) -> [String] {
        services.filter { hostsNamed(by: $0.value).contains(host) }.keys.sorted()
    }

    /// Adds hosts that services need, drops those that nobody does.
    mutating func keepNeededHosts(now: Instant) {
        var needed: Set<String> = []
        for service in services.values { needed.formUnion(hostsNamed(by: service)) }
        hosts = hosts.filter { $0.value.published != nil || needed.contains($0.key) }
        var room = plan.serviceHostsMax - hosts.values.lazy.filter { $0.published == nil }.count
        for text in needed.sorted() where hosts[text] == nil && room > 0 {
            hosts[text] = Host(machine: ResolutionStateMachine(now: now), published: nil)
            room -= 1
        }
    }

    /// Takes over what a service stands for, once each of its hosts was asked for.
    ///
    /// Until then it stands for what it did before: a reload or a new record must not empty a pool.
    mutating func publishService(_ text: String, now: Instant, into events: inout [NameEvent]) {
        guard let service = services[text] else { return }
        let records = service.machine.value ?? []
        let isComplete = records.allSatisfy { hosts[$0.host]?.machine.hasBeenAsked ?? true }
        guard isComplete else { return }
        var published = service.published
        publish(.service(text), targets(of: records), &published, now: now, into: &events)
        services[text]?.published = published
    }

    private struct Place: Hashable {
        var address: IPAddress
        var port: UInt16
    }

    private func targets(of records: [ServiceRecord]) -> [UpstreamTarget] {
        // RFC 2782: only the order of priorities counts. Ours are few and begin at 0.
        let ranks = Set(records.map(\.priority)).sorted()
        var shares: [Place: (share: Double, priority: Int)] = [:]
        for record in records {
            let addresses = hosts[record.host]?.machine.value ?? []
            let rank = ranks.firstIndex(of: record.priority) ?? 0
            let priority = min(rank, UpstreamTarget.priorityMax)
            // A host with several addresses gets the share of one record, not several.
            let share = Double(record.weight) / Double(max(1, addresses.count))
            for address in addresses {
                let place = Place(address: address, port: record.port)
                guard let known = shares[place], known.priority <= priority else {
                    shares[place] = (share, priority)
                    continue
                }
                if known.priority == priority { shares[place]?.share += share }
            }
        }
        return weighted(shares)
    }

    /// Shares as whole weights: as they are where that is possible, else scaled to fit.
    ///
    /// RFC 2782: a record of weight 0 keeps a very small chance, hence never less than 1.
    private func weighted(
        _ shares: [Place: (share: Double, priority: Int)]
    ) -> [UpstreamTarget] {
        let limit = Double(UpstreamTarget.weightMax)
        let isWhole = shares.values.allSatisfy { $0.share == $0.share.rounded() }
        let largest = shares.values.map(\.share).max() ?? 0
        let scale = largest > limit || !isWhole ? limit / largest : 1
        let targets = shares.map { place, value in
            UpstreamTarget(
                address: place.address, port: place.port,
                weight: Int(min(max((value.share * scale).rounded(), 1), limit)),
                priority: value.priority)
        }
        return Array(targets.sorted().prefix(max(1, plan.targetsMax)))
    }
}
