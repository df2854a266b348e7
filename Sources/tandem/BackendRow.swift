// SPDX-License-Identifier: Apache-2.0
//
// One backend as an operator wants to see it: what checks and traffic say beside what it gets.

internal import BalancerCore
internal import ConfigurationCore
internal import HealthService
internal import LinuxIO
internal import ProxyService
internal import Telemetry
internal import WireCore

/// A backend in `tandem status` and `show stat`.
struct BackendRow {
    let pool: String
    let name: String
    let address: String
    let health: BackendHealth
    let traffic: BackendStatistics?
    /// What commands changed about it; empty for most.
    let changed: String

    /// What it may be given now.
    var standing: BackendStanding { health.governed?.standing ?? BackendStanding() }

    /// `up`, `unverified`, `unchecked`, or why it gets less: `down`, `not_ready`, `ejected`,
    /// `trial`, `drain`, `maint`.
    var state: String {
        switch health.governed?.reason {
        case .admin(.drain): "drain"
        case .admin(.maintenance): "maint"
        case .forcedDown, .check(.liveness, _): "down"
        case .forcedStopping, .check(.readiness, _): "not_ready"
        case .ejected: "ejected"
        case .trial: "trial"
        case .admin(.ready), .slowStart, .some(.none), nil:
            !health.isChecked ? "unchecked" : health.verdict == .unverified ? "unverified" : "up"
        }
    }

    /// Why it does not get everything, and what commands changed; or an empty text.
    var reason: String {
        [health.why, changed].filter { !$0.isEmpty }.joined(separator: "; ")
    }

    /// HAProxy's word for the state.
    var statusWord: String {
        health.state == .up && !health.isChecked ? "no check" : health.state.rawValue
    }

    /// HAProxy's word for how the last check ended.
    var checkStatus: String {
        guard health.lastCheckedAt != nil else { return "INI" }
        return switch health.lastFailure {
        case nil: "L7OK"
        case .connectionRefused, .connectionClosed: "L4CON"
        case .timedOut: "L7TOUT"
        case .unexpectedStatus: "L7STS"
        case .system: "SOCKERR"
        default: "L7RSP"
        }
    }

    /// HAProxy's number for the state: 0 stopped, 2 running, 3 stopping.
    var operationalState: Int {
        switch health.state {
        case .down, .maintenance: 0
        case .up: 2
        case .notBalanced, .drain: 3
        }
    }

    var json: JSONValue {
        .object([
            ("name", .string(name)),
            ("address", .string(address)),
            ("state", .string(state)),
            ("reason", .string(reason)),
            ("weight", .integer(Int64(health.governed?.standing.weight ?? 0))),
            ("share_percent", .integer(Int64(health.governed?.standing.rampPercent ?? 100))),
            ("ejections", .unsigned(health.governed?.ejectionsTotal ?? 0)),
            ("flaps", .unsigned(health.governed?.flapsTotal ?? 0)),
            ("check_latency_us", .unsigned(health.lastLatency.microseconds)),
            ("requests_in_flight", .integer(Int64(traffic?.requestsInFlight ?? 0))),
            ("requests", .unsigned(traffic?.requests ?? 0)),
            ("connect_errors", .unsigned(traffic?.connectFailures ?? 0)),
        ])
    }
}

extension Node {
    /// Every backend in configured order.
    func backendRows() -> [BackendRow] {
        dataPlane.map { backendRows($0.statistics()) } ?? []
    }

    /// Every backend in configured order, with numbers of one moment.
    func backendRows(_ statistics: DataPlaneStatistics) -> [BackendRow] {
        let traffic = Dictionary(
            statistics.backends.map {
                (BackendRoster.Name(pool: $0.pool, backend: $0.name), $0)
            }, uniquingKeysWith: { first, _ in first })
        return (health?.snapshot() ?? []).map { health in
            let name = BackendRoster.Name(pool: health.pool, backend: health.backend)
            return BackendRow(
                pool: health.pool, name: health.backend, address: health.address.description,
                health: health, traffic: traffic[name],
                changed: noteOfChange(name))
        }
    }

    /// What commands changed about a backend, and where, when that was not here.
    private func noteOfChange(_ name: BackendRoster.Name) -> String {
        let text = roster.overrides[name].description
        guard !text.isEmpty, let origin = overrideOrigin(of: name) else { return text }
        return "\(text), by a command on \(origin)"
    }
}
