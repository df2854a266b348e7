// SPDX-License-Identifier: Apache-2.0
//
// What the command line offers, and how it complains.

internal import ConfigurationCore
internal import LinuxIO

enum Usage {
    static let commands = [
        "run", "check", "status", "switchover", "ctl", "drill", "help", "version",
    ]

    static let defaultConfigurationPath = "/etc/tandem/tandem.yaml"

    static let text = """
        usage: tandem COMMAND ...

          run --config FILE [--node NAME]   serve; SIGHUP reloads, SIGTERM hands over and leaves
                                            [--log-format logfmt|json] [--log-level LEVEL]
          check FILE [--node NAME]          exit 0, or every error and exit 1
          check --explain                   every configuration key with unit, default and range
          status [--json]                   both nodes: role, VIPs, link, backends, last failover
          switchover                        make the other node active; prints what it cost
          ctl 'COMMAND'                     one command to the runtime socket, such as 'help'
          drill ...                         inject a fault, measure, report (drill --help)
          version

        status, switchover and ctl find the runtime socket with --socket PATH, or through
        --config FILE (default \(defaultConfigurationPath)).
        Exit codes: 0 done, 1 the thing asked for failed or did not hold, 2 usage.

        """

    /// Whether the words behind a command ask what it is for.
    static func asksForHelp(_ words: [String]) -> Bool {
        words.contains("--help") || words.contains("-h")
    }

    /// Says what is wrong with the command line, with the nearest known word.
    static func complain(
        _ problem: String, word: String? = nil, known: [String] = []
    ) -> ExitCode {
        var message = "tandem: \(problem)"
        if let word, let suggestion = Suggestion.nearest(to: word, in: known) {
            message += "; did you mean \"\(suggestion)\"?"
        }
        DescriptorOutput.printError(message + "\nTry 'tandem help'.\n")
        return .usage
    }
}
