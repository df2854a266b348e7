// SPDX-License-Identifier: Apache-2.0
//
// The columns of `show stat` in HAProxy's order (HAProxy 2.6 management guide, section 9.1), so
// that scripts which count commas or read names go on working. Columns without a case stay empty.

/// A column that we fill.
public enum StatField: String, CaseIterable, Sendable {
    /// The pool or listener.
    case proxy = "pxname"
    /// The backend, or `FRONTEND` or `BACKEND`.
    case service = "svname"
    /// Requests that wait now.
    case queued = "qcur"
    /// Sessions (requests, at a backend) now.
    case sessions = "scur"
    /// The most there may be.
    case sessionLimit = "slim"
    /// Sessions since the start.
    case sessionsTotal = "stot"
    /// Bytes from clients.
    case bytesIn = "bin"
    /// Bytes to clients.
    case bytesOut = "bout"
    /// Requests refused by a limit.
    case deniedRequests = "dreq"
    /// Requests that broke a rule.
    case requestErrors = "ereq"
    /// Connections that did not come about.
    case connectErrors = "econ"
    /// Answers that did not come or broke.
    case responseErrors = "eresp"
    /// Attempts after a failed one.
    case retries = "wretr"
    /// Those that went to another backend.
    case redispatches = "wredis"
    /// `UP`, `DOWN`, `DRAIN`, `MAINT`, `NOLB`, `no check`, `OPEN`.
    case status
    /// The weight in force.
    case weight
    /// 1 for a backend of the first priority; of a pool, how many are up.
    case active = "act"
    /// 1 for a backend of a later priority; of a pool, how many are up.
    case backup = "bck"
    /// Failed checks.
    case checksFailed = "chkfail"
    /// Changes from up to down.
    case checksDown = "chkdown"
    /// Seconds since the last change of state.
    case lastChange = "lastchg"
    /// Seconds down since the start.
    case downtime
    /// The most that may wait.
    case queueLimit = "qlimit"
    /// Always 1.
    case process = "pid"
    /// Number of the pool or listener.
    case proxyNumber = "iid"
    /// Number of the backend in its pool.
    case serviceNumber = "sid"
    /// Slow start: percent of the full share.
    case throttle
    /// Requests for which it was chosen.
    case chosen = "lbtot"
    /// 0 frontend, 1 backend, 2 server.
    case type
    /// Sessions in the last second.
    case rate
    /// The largest such number.
    case rateMax = "rate_max"
    /// How the last check ended: `L4OK`, `L7STS` and so on.
    case checkStatus = "check_status"
    /// Its HTTP status.
    case checkCode = "check_code"
    /// Its milliseconds.
    case checkDuration = "check_duration"
    /// Answers 1xx.
    case responses1xx = "hrsp_1xx"
    /// Answers 2xx.
    case responses2xx = "hrsp_2xx"
    /// Answers 3xx.
    case responses3xx = "hrsp_3xx"
    /// Answers 4xx.
    case responses4xx = "hrsp_4xx"
    /// Answers 5xx.
    case responses5xx = "hrsp_5xx"
    /// Other answers.
    case responsesOther = "hrsp_other"
    /// Requests in the last second.
    case requestRate = "req_rate"
    /// Requests since the start.
    case requestsTotal = "req_tot"
    /// Clients that left too early.
    case clientAborts = "cli_abrt"
    /// Answers that broke off.
    case serverAborts = "srv_abrt"
    /// What the last check said.
    case lastCheck = "last_chk"
    /// Mean milliseconds to the answer.
    case responseTime = "rtime"
    /// The check's result in words.
    case checkDescription = "check_desc"
    /// Passed checks in a row that bring it back.
    case checkRise = "check_rise"
    /// Failed checks in a row that take it out.
    case checkFall = "check_fall"
    /// Results in a row that speak for the state.
    case checkHealth = "check_health"
    /// Where it listens.
    case address = "addr"
    /// The name of the cookie of a sticky pool.
    case cookie
    /// `http` or `tcp`.
    case mode
    /// Key `balance` of the pool.
    case algorithm = "algo"
    /// Connections since the start.
    case connectionsTotal = "conn_tot"
    /// Connections made to it.
    case connects = "connect"
    /// Requests on a connection that was there.
    case reuses = "reuse"
    /// Idle connections kept.
    case idleConnections = "srv_icur"
    /// Connections in use.
    case usedConnections = "used_conn_cur"
    /// The weight as configured or set.
    case userWeight = "uweight"
    /// Half of the answers came within so many microseconds.
    case latency50 = "p50_us"
    /// 95 of a hundred did.
    case latency95 = "p95_us"
    /// 99 of a hundred did.
    case latency99 = "p99_us"
    /// Seconds until its traffic is tried again.
    case ejectedUntil = "ejected_s"
    /// Why it gets no work.
    case reason
    /// Its zone.
    case zone

    /// Every column in order; after `-` come those that HAProxy does not have.
    public static let columns: [String] = haproxyColumns + ["-"] + ownColumns

    static let haproxyColumns: [String] = """
        pxname svname qcur qmax scur smax slim stot bin bout dreq dresp ereq econ eresp
        wretr wredis status weight act bck chkfail chkdown lastchg downtime qlimit pid iid
        sid throttle lbtot tracked type rate rate_lim rate_max check_status check_code
        check_duration hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other hanafail
        req_rate req_rate_max req_tot cli_abrt srv_abrt comp_in comp_out comp_byp comp_rsp
        lastsess last_chk last_agt qtime ctime rtime ttime agent_status agent_code
        agent_duration check_desc agent_desc check_rise check_fall check_health agent_rise
        agent_fall agent_health addr cookie mode algo conn_rate conn_rate_max conn_tot
        intercepted dcon dses wrew connect reuse cache_lookups cache_hits srv_icur src_ilim
        qtime_max ctime_max rtime_max ttime_max eint idle_conn_cur safe_conn_cur
        used_conn_cur need_conn_est uweight agg_server_status agg_server_check_status
        agg_check_status
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    static let ownColumns = [
        latency50, latency95, latency99, ejectedUntil, reason, zone,
    ].map(\.rawValue)
}
