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

    /// What it is said to be, whatever its checks say, until it is said to be up.
    public enum Health: String, Hashable, Sendable, CaseIterable {
        /// As if its readiness check failed: it gets nothing new, what it has may go on.
        case stopping
        /// As if its liveness check failed.
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

    /// The most backends that are changed at once; scripts that loop for ever fill no memory.
    public static let countMax = 16_384

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
    ///   - basis: the backend as the file says, without changes of earlier commands; for one
    ///     address of a name, the backend that the name belongs to.
    ///   - isPresent: whether there is such a backend now. When there is no room, one that is gone
    ///     makes room: addresses of a name may never come back.
    /// - Returns: false when `countMax` others that are there are changed already.
    @discardableResult
    public mutating func set(
        _ override: RuntimeOverride, for name: Name, basis: BackendConfiguration,
        isPresent: (Name) -> Bool = { _ in true }
    ) -> Bool {
        guard !override.isEmpty else {
            entries[name] = nil
            return true
        }
        if entries[name] == nil, entries.count >= Self.countMax {
            guard let gone = entries.keys.first(where: { !isPresent($0) }) else { return false }
            entries[gone] = nil
        }
        entries[name] = Entry(override: override, basis: basis)
        return true
    }

    /// Drops what was changed about backends that a new file says something else about, or that
    /// are gone.
    ///
    /// An address of a name is judged by what the file says about the name: one that is gone for a
    /// while comes back as it was.
    ///
    /// - Parameter pools: the new pools of the file, without changes of commands.
    /// - Returns: the changes that were dropped, by name.
    public mutating func drop(contradictedBy pools: [PoolConfiguration]) -> [DroppedOverride] {
        guard !entries.isEmpty else { return [] }
        var present: [Name: BackendConfiguration] = [:]
        for pool in pools {
            for backend in pool.backends {
                present[Name(pool: pool.name, backend: backend.name)] = backend
            }
        }
        var dropped: [DroppedOverride] = []
        for (name, entry) in entries {
            let written = Name(
                pool: name.pool, backend: EffectivePools.nameInFile(name.backend))
            let backend = present[name] ?? present[written]
            guard backend != entry.basis else { continue }
            dropped.append(
                DroppedOverride(
                    name: name, override: entry.override, before: entry.basis.text,
                    after: backend?.text))
            entries[name] = nil
        }
        return dropped.sorted { $0.name < $1.name }
    }

    /// As `drop(contradictedBy:)`.
    ///
    /// - Parameter pools: the new pools, of the file or with names resolved, whichever the basis of
    ///   the changes came from; without changes of commands.
    /// - Returns: the changes that were dropped.
    public mutating func reconcile(with pools: [PoolConfiguration]) -> [Name: RuntimeOverride] {
        Dictionary(uniqueKeysWithValues: drop(contradictedBy: pools).map { ($0.name, $0.override) })
    }
}

extension RuntimeOverrides.Name: Comparable {
    /// By pool, then by backend.
    public static func < (left: RuntimeOverrides.Name, right: RuntimeOverrides.Name) -> Bool {
        (left.pool, left.backend) < (right.pool, right.backend)
    }
}

/// A change that a new file ended.
public struct DroppedOverride: Hashable, Sendable {
    /// The backend.
    public var name: RuntimeOverrides.Name
    /// What was changed.
    public var override: RuntimeOverride
    /// What the file said when it was changed.
    public var before: String
    /// What it says now; `nil` when the backend is gone.
    public var after: String?
}

extension DroppedOverride: CustomStringConvertible {
    /// `web/be1: state drain ends, the file says 10.0.0.1:80, weight 2 (was ...)`.
    public var description: String {
        guard let after else { return "\(name): \(override) ends, the file has no such backend" }
        return "\(name): \(override) ends, the file says \(after) (was \(before))"
    }
}
