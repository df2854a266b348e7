// SPDX-License-Identifier: Apache-2.0
//
// What a running node answers: commands on the runtime socket, pages over HTTP.

internal import AdminService
internal import ConfigurationCore
internal import ConfigurationService
internal import LinuxIO
internal import ProxyService
internal import ReplicationService
internal import Telemetry
internal import WireCore

extension Node {
    /// Registers every command and page; called once.
    func registerAdmin() {
        registry.add("show status", help: "both nodes: role, addresses, link, backends") {
            [unowned self] words in
            words.first == "json" ? statusJSON().rendered() : statusText()
        }
        registry.add("show metrics", help: "metrics in Prometheus text format") {
            [unowned self] _ in metricsText()
        }
        registry.addAction("show switchover", help: "how the last switchover went") {
            [unowned self] _ in switchoverReply()
        }
        registry.addAction("switchover", help: "make the other node active") {
            [unowned self] _ in requestSwitchover()
        }
        registerServerCommands()
        registerStatCommands()
        registerShowCommands()
        registry.addAction("reload", help: "read the configuration again, as SIGHUP does") {
            [unowned self] _ in reload()
        }
        registerNameCommands()
        registry.addPage("/metrics") { [unowned self] in
            AdminRegistry.Page(
                contentType: "text/plain; version=0.0.4; charset=utf-8", content: metricsText())
        }
        registry.addPage("/status") { [unowned self] in
            AdminRegistry.Page(
                contentType: "application/json",
                content: statusJSON().rendered(pretty: true) + "\n")
        }
        registry.addPage("/") { [unowned self] in
            AdminRegistry.Page(contentType: "text/plain; charset=utf-8", content: statusText())
        }
    }

    private func metricsText() -> String {
        var text = MetricsText()
        collectNodeMetrics(into: &text)
        for source in metricSources { source.collect(into: &text) }
        return text.rendered
    }

    private func collectNodeMetrics(into text: inout MetricsText) {
        text.add(
            "tandem_build_info", .gauge, help: "Version of this node.",
            labels: ["version": Tandem.version, "node": name], 1)
        text.add(
            "tandem_configuration_hash_info", .gauge, help: "Hash of the configuration in force.",
            labels: ["hash": loaded.hash.description], 1)
        let outcomes = [
            ("applied", reloads.appliedCount), ("unchanged", reloads.unchangedCount),
            ("refused", reloads.refusedCount),
        ]
        for (outcome, count) in outcomes {
            text.add(
                "tandem_configuration_reloads_total", .counter,
                help: "Configurations read again, by outcome.", labels: ["outcome": outcome],
                Double(count))
        }
        collectSwitchovers(into: &text)
        freezeGuard?.collect(into: &text)
        guard let link = pair?.link else { return }
        text.add(
            "tandem_pair_link_up", .gauge, help: "1 while heartbeats arrive.", link.isUp ? 1 : 0)
        if let isEqual = link.isConfigurationEqual {
            text.add(
                "tandem_pair_configuration_equal", .gauge,
                help: "1 while both nodes run from the same configuration.", isEqual ? 1 : 0)
        }
    }
}
