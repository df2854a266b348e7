// SPDX-License-Identifier: Apache-2.0
//
// What loading a configuration file gives.

public import ConfigurationCore

/// A configuration that may be used, with everything that came out of loading it.
public struct LoadedConfiguration: Sendable {
    /// The configuration, defaults filled in.
    public let configuration: Configuration
    /// The node this process is; `nil` without a pair or when no node was chosen.
    public let localNode: NodeConfiguration?
    /// The pair link's secret; `nil` when no file is configured or, in a check, not readable.
    public let secret: [UInt8]?
    /// Warnings in file order.
    public let warnings: [Diagnostic]
    /// The warnings as text for a person; empty when there are none.
    public let warningText: String
    /// The fingerprint of the configuration, to compare with the other node's.
    public let hash: ConfigurationHash

    /// The other node of the pair; `nil` without a pair, when no node was chosen, and where one or
    /// more than two nodes announce their addresses by routes.
    public var peerNode: NodeConfiguration? {
        guard let localNode, let pair = configuration.pair, pair.nodes.count == 2 else {
            return nil
        }
        return pair.nodes.first { $0.name != localNode.name }
    }
}

/// A configuration file that was refused.
public struct RejectedConfiguration: Error, Sendable {
    /// Errors and warnings in file order; at least one error.
    public let diagnostics: [Diagnostic]
    /// The same as text for a person, with a last line that counts them.
    public let text: String
}

/// What a reload would do.
public enum ReloadOutcome: Sendable {
    /// The file means what is already in force; its warnings may differ.
    case unchanged(LoadedConfiguration)
    /// The new configuration may be put in force as a whole.
    case applicable(LoadedConfiguration, ConfigurationDifference)
    /// The configuration in force stays; the text says why.
    case refused(String)
}
