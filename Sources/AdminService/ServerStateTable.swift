// SPDX-License-Identifier: Apache-2.0
//
// The answer to `show servers state`: one line a backend in the form that HAProxy writes and reads
// (management guide 2.6, "show servers state", version 1).

/// A backend in `show servers state`.
public struct ServerStateRow: Sendable {
    /// Number of the pool, from 1.
    public var poolNumber: Int
    /// The pool.
    public var pool: String
    /// Number of the backend in its pool, from 1.
    public var number: Int
    /// The backend.
    public var name: String
    /// Its address, without port.
    public var address: String
    /// Its port.
    public var port: UInt16
    /// 0 stopped, 1 starting, 2 running, 3 stopping.
    public var operationalState: Int
    /// 0 ready, 1 maintenance forced by the operator, 8 drain forced by the operator.
    public var administrativeState: Int
    /// The weight in force.
    public var weight: Int
    /// The configured weight.
    public var initialWeight: Int
    /// Seconds since the last change.
    public var secondsSinceChange: UInt64
    /// 0 unknown, 2 failed, 3 passed.
    public var checkResult: Int
    /// Results in a row that speak for the state.
    public var checkHealth: Int
    /// 0 without checks, 6 when they run.
    public var checkState: Int
    /// The name that its address came from.
    public var hostName: String?

    /// Makes a row.
    public init(
        poolNumber: Int, pool: String, number: Int, name: String, address: String, port: UInt16,
        operationalState: Int, administrativeState: Int, weight: Int, initialWeight: Int,
        secondsSinceChange: UInt64, checkResult: Int, checkHealth: Int, checkState: Int,
        hostName: String?
    ) {
        self.poolNumber = poolNumber
        self.pool = pool
        self.number = number
        self.name = name
        self.address = address
        self.port = port
        self.operationalState = operationalState
        self.administrativeState = administrativeState
        self.weight = weight
        self.initialWeight = initialWeight
        self.secondsSinceChange = secondsSinceChange
        self.checkResult = checkResult
        self.checkHealth = checkHealth
        self.checkState = checkState
        self.hostName = hostName
    }
}

/// The whole answer.
public enum ServerStateTable {
    static let header =
        "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "
        + "srv_iweight srv_time_since_last_change srv_check_status srv_check_result "
        + "srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id "
        + "srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr "
        + "srv_agent_port"

    /// The version, the names of the columns, the rows.
    public static func text(_ rows: [ServerStateRow]) -> String {
        var text = "1\n\(header)\n"
        for row in rows {
            let checkStatus = row.checkState == 0 ? 1 : row.checkResult == 3 ? 15 : 8
            let columns: [any CustomStringConvertible] = [
                row.poolNumber, row.pool, row.number, row.name, row.address, row.operationalState,
                row.administrativeState, row.weight, row.initialWeight, row.secondsSinceChange,
                checkStatus, row.checkResult, row.checkHealth, row.checkState, 0, 0, 0,
                row.hostName ?? "-", row.port, "-", 0, 0, "-", "-", 0,
            ]
            text += columns.map { "\($0)" }.joined(separator: " ") + "\n"
        }
        return text
    }
}
