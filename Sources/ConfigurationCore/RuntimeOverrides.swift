// SPDX-License-Identifier: Apache-2.0
//
// What an operator changed about backends of a running node, beside what the file said then: a
// reload keeps what it does not contradict.

public import WireCore

/// What was changed about one backend.
public struct RuntimeOverride: Hashable, Sendable {
    /// What the operator wants it to be.
    public enum State: String, Hashable, Sendable, CaseIterable {
        /// It may serve; the state of a backend that nobody touched.
        case ready
        /// It gets nothing new; what it has may finish.
        case drain
        /// It gets nothing at all.
        case maintenance = "maint"
    }

    /// What its checks are taken to say.
    public enum Health: String, Hashable, Sendable, CaseIterable {
        /// They pass.
        case up
        /// They fail.
        case down
    }

    /// The state asked for.
    public var state = State.ready
    /// The weight set, 0-256; `nil` is the file's.
    public var weight: Int?
    /// The address set; `nil` is the file's, or the one its name stands for.
    public var address: Endpoint?
    /// The verdict set; `nil` leaves it to the checks.
    public var health: Health?

    /// Changes nothing.
    public init() {}

    /// True when nothing is changed.
    public var isEmpty: Bool { self == RuntimeOverride() }
}

extension RuntimeOverride: CustomStringConvertible {
    /// `state drain, weight 7`; empty when nothing is changed.
    public var description: String {
        var parts: [String] = []
        if state != .ready { parts.append("state \(state.rawValue)") }
        if let weight { parts.append("weight \(weight)") }
        if let address { parts.append("address \(address)") }
        if let health { parts.append("health \(health.rawValue)") }
        return parts.joined(separator: ", ")
    }
}

/// Everything that was changed at run time.
public struct RuntimeOverrides: Sendable {
    /// A backend, named as the data plane names it.
    public struct Name: Hashable, Sendable, CustomStringConvertible {
        /// The pool.
        public var pool: String
        /// The backend.
        public var backend: String

        /// Makes a name.
        public init(pool: String, backend: String) {
            self.pool = pool
            self.backend = backend
        }

        /// `POOL/BACKEND`.
        public var description: String { "\(pool)/\(backend)" }
    }

    private struct Entry {
        var override: RuntimeOverride
        /// What the file and its names said when it was changed.
        var basis: BackendConfiguration
    }

    private var entries: [Name: Entry] = [:]

    /// Starts without changes.
    public init() {}

    /// The backends that were changed.
    public var names: Set<Name> { Set(entries.keys) }

    /// What was changed about a backend; empty for any other.
    public subscript(_ name: Name) -> RuntimeOverride {
        entries[name]?.override ?? RuntimeOverride()
    }

    /// Notes a change; an empty one is forgotten.
    ///
    /// - Parameters:
    ///   - override: everything that differs from the file now.
    ///   - name: the backend.
    ///   - basis: the backend as the file says, without changes of earlier commands.
    public mutating func set(
        _ override: RuntimeOverride, for name: Name, basis: BackendConfiguration
    ) {
        entries[name] = override.isEmpty ? nil : Entry(override: override, basis: basis)
    }

    /// Drops what was changed about backends that a new file says something else about, or that
    /// are gone.
    ///
    /// - Parameter pools: the new pools with names resolved, without changes of commands.
    /// - Returns: the changes that were dropped.
    public mutating func reconcile(with pools: [PoolConfiguration]) -> [Name: RuntimeOverride] {
        guard !entries.isEmpty else { return [:] }
        var present: [Name: BackendConfiguration] = [:]
        for pool in pools {
            for backend in pool.backends {
                present[Name(pool: pool.name, backend: backend.name)] = backend
            }
        }
        var dropped: [Name: RuntimeOverride] = [:]
        for (name, entry) in entries where present[name] != entry.basis {
            dropped[name] = entry.override
            entries[name] = nil
        }
        return dropped
    }
}
