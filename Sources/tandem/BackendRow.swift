// SPDX-License-Identifier: Apache-2.0
//
// One backend as an operator wants to see it: what the checks say beside what the traffic says.

internal import BalancerCore
internal import HealthService
internal import LinuxIO
internal import ProxyService
internal import Telemetry
internal import WireCore

/// A backend in `tandem status`.
struct BackendRow {
    let pool: String
    let name: String
    let address: String
    let health: BackendHealth
    let traffic: BackendStatistics?

    /// `up`, `down`, or `unchecked`.
    var state: String {
        guard health.isChecked else { return "unchecked" }
        return switch health.verdict {
        case .up: "up"
        case .unverified: "unverified"
        case .down: "down"
        }
    }

    /// Why it is down, or an empty text.
    var reason: String {
        health.verdict == .down ? health.lastFailure.map { "\($0)" } ?? "" : ""
    }

    var json: JSONValue {
        .object([
            ("name", .string(name)),
            ("address", .string(address)),
            ("state", .string(state)),
            ("reason", .string(reason)),
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
        let traffic = dataPlane?.statistics().backends ?? []
        return (health?.snapshot() ?? []).map { health in
            BackendRow(
                pool: health.pool, name: health.backend, address: health.address.description,
                health: health,
                traffic: traffic.first { $0.pool == health.pool && $0.name == health.backend })
        }
    }
}
