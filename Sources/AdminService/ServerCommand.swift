// SPDX-License-Identifier: Apache-2.0
//
// The commands that change a backend: HAProxy's words (management guide 2.6, section 9.3) made into
// a value, or into the complaint that HAProxy's users know. No state here.

public import WireCore

/// A backend as a command names it: `POOL/NAME`.
public struct ServerName: Hashable, Sendable, CustomStringConvertible {
    /// The pool.
    public let pool: String
    /// The backend.
    public let backend: String

    /// Makes a name.
    public init(pool: String, backend: String) {
        self.pool = pool
        self.backend = backend
    }

    /// Reads `POOL/NAME`; `nil` without a slash.
    public init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/") else { return nil }
        pool = String(text[..<slash])
        backend = String(text[text.index(after: slash)...])
        guard !pool.isEmpty, !backend.isEmpty else { return nil }
    }

    /// `POOL/NAME`.
    public var description: String { "\(pool)/\(backend)" }
}

/// What is to be done with a backend.
public enum ServerChange: Hashable, Sendable {
    /// What the operator wants it to be.
    public enum State: String, Hashable, Sendable, CaseIterable {
        /// It may serve.
        case ready
        /// Nothing new; what it has may finish.
        case drain
        /// Nothing at all, and no checks count.
        case maintenance = "maint"
    }

    /// What the checks are taken to say.
    public enum Health: String, Hashable, Sendable, CaseIterable {
        /// Passing, until they say otherwise.
        case up
        /// Nothing new.
        case stopping
        /// Failing, until they say otherwise.
        case down
    }

    /// `state ready|drain|maint`
    case state(State)
    /// `weight N`, 0-256
    case weight(Int)
    /// `weight N%` of the configured weight
    case weightPercent(Int)
    /// `addr IP [port PORT]`; the port stays when it is `nil`
    case address(IPAddress, port: UInt16?)
    /// `health up|stopping|down`
    case health(Health)
}

/// A command that makes no sense, in the words that are printed.
public struct ServerCommandError: Error, Equatable {
    /// What is wrong.
    public let text: String

    /// Makes a complaint.
    public init(_ text: String) {
        self.text = text
    }
}

/// Reads the words behind `set server`, `enable server` and their like.
public enum ServerCommand {
    /// Largest weight.
    public static let weightMax = 256
    /// Largest share of the configured weight, in percent.
    public static let weightPercentMax = 25_600
    static let usage =
        "usage: set server POOL/NAME state ready|drain|maint | weight N[%] | addr IP [port PORT] "
        + "| health up|stopping|down"

    /// Reads `POOL/NAME WHAT VALUE...`.
    ///
    /// - Throws: `ServerCommandError` in HAProxy's words where it has some.
    public static func parse(
        _ words: [String]
    ) throws(ServerCommandError) -> (name: ServerName, change: ServerChange) {
        guard let first = words.first else { throw ServerCommandError(usage) }
        let name = try name(first)
        guard words.count >= 3 else { throw ServerCommandError(usage) }
        let value = words[2]
        let rest = Array(words.dropFirst(3))
        switch words[1] {
        case "state":
            guard rest.isEmpty, let state = ServerChange.State(rawValue: value) else {
                throw ServerCommandError(
                    "'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
            }
            return (name, .state(state))
        case "weight":
            guard rest.isEmpty else { throw ServerCommandError(usage) }
            return (name, try weight(value))
        case "addr":
            return (name, try address(value, rest))
        case "health":
            guard rest.isEmpty, let health = ServerChange.Health(rawValue: value) else {
                throw ServerCommandError(
                    "'set server <srv> health' expects 'up', 'stopping', or 'down'.")
            }
            return (name, .health(health))
        default:
            throw ServerCommandError(usage)
        }
    }

    /// Reads the one word behind `enable server`, `disable server`, `get weight`.
    ///
    /// - Throws: `ServerCommandError` when it is no `POOL/NAME`.
    public static func name(_ word: String) throws(ServerCommandError) -> ServerName {
        guard let name = ServerName(word) else {
            throw ServerCommandError("Require 'backend/server'.")
        }
        return name
    }

    /// Reads `N` or `N%`.
    ///
    /// - Throws: `ServerCommandError` when it is no weight.
    public static func weight(_ word: String) throws(ServerCommandError) -> ServerChange {
        if word.last == "%" {
            guard let percent = Int(word.dropLast()), (0...weightPercentMax).contains(percent)
            else {
                throw ServerCommandError(
                    "Relative weight must be between 0 and 25600% of the configured one.")
            }
            return .weightPercent(percent)
        }
        guard let weight = Int(word), (0...weightMax).contains(weight) else {
            throw ServerCommandError(
                "Absolute weight can only be between 0 and 256 inclusive.")
        }
        return .weight(weight)
    }

    private static func address(
        _ word: String, _ rest: [String]
    ) throws(ServerCommandError) -> ServerChange {
        guard let address = IPAddress(word), !address.isAny else {
            throw ServerCommandError("Invalid addr family for '\(word)': an IP address is needed.")
        }
        guard !rest.isEmpty else { return .address(address, port: nil) }
        guard rest.count == 2, rest[0] == "port", let port = UInt16(rest[1]), port > 0 else {
            throw ServerCommandError("usage: set server POOL/NAME addr IP [port PORT]")
        }
        return .address(address, port: port)
    }
}
