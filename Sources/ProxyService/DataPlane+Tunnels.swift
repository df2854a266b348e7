// SPDX-License-Identifier: Apache-2.0
//
// Metrics of what passes unread: streams of TCP listeners, WebSockets, PROXY headers.

internal import Telemetry

extension DataPlane {
    static func collectTunnels(_ listener: ListenerStatistics, into text: inout MetricsText) {
        func add(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: UInt64) {
            text.add(name, kind, help: help, labels: ["listener": listener.name], Double(value))
        }
        add(
            "tandem_listener_tunnels_total", .counter,
            "Connections passed through unread: those of TCP listeners, and WebSockets.",
            listener.tunnels)
        add("tandem_listener_tunnels_open", .gauge, "Tunnels open.", listener.tunnelsOpen)
        add(
            "tandem_listener_tunnel_timeouts_total", .counter,
            "Tunnels closed because nothing moved in either direction.", listener.tunnelTimeouts)
        add(
            "tandem_listener_refused_streams_total", .counter,
            "Connections of a TCP listener that no backend took.", listener.refusedStreams)
        add(
            "tandem_listener_proxy_header_failures_total", .counter,
            "Connections closed because a PROXY header was missing or wrong.",
            listener.proxyHeaderFailures)
    }
}
