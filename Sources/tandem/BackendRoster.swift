// SPDX-License-Identifier: Apache-2.0
//
// Which backends this node has: those of the file, with names resolved and with what commands
// changed. A value, so that what cannot be put in force is simply not kept.

internal import ConfigurationCore
internal import WireCore

/// The pools as they are written, resolved and in force.
struct BackendRoster {
    typealias Name = RuntimeOverrides.Name

    private var written: [PoolConfiguration]
    private var answers = ResolvedNames()
    private(set) var overrides = RuntimeOverrides()
    /// The pools with an address for every backend, without changes of commands.
    private var resolved: [PoolConfiguration]
    /// The pools that serve.
    private(set) var pools: [PoolConfiguration]
    private var present: [Name: BackendConfiguration] = [:]

    init(_ written: [PoolConfiguration]) {
        self.written = written
        resolved = []
        pools = []
        rebuild()
    }

    /// A backend as the file and its name's answers say; `nil` when there is none of that name.
    subscript(name: Name) -> BackendConfiguration? { present[name] }

    /// Takes the pools of a reloaded file.
    ///
    /// - Returns: the changes of commands that the file undid.
    mutating func reload(_ written: [PoolConfiguration]) -> [DroppedOverride] {
        self.written = written
        let dropped = overrides.drop(contradictedBy: written)
        rebuild()
        return dropped
    }

    /// Takes what names stand for; changes of commands wait for an address that comes back.
    mutating func learn(_ answers: ResolvedNames) {
        self.answers = answers
        rebuild()
    }

    /// Notes everything that commands changed about a backend; false when too many are changed.
    mutating func set(_ override: RuntimeOverride, for name: Name) -> Bool {
        guard let backend = basis(of: name) else { return false }
        let present = present
        guard
            overrides.set(
                override, for: name, basis: backend, isPresent: { present[$0] != nil })
        else { return false }
        pools = EffectivePools.apply(overrides, to: resolved)
        return true
    }

    /// What the file says about a backend, or about the name that it is an address of.
    func basis(of name: Name) -> BackendConfiguration? {
        let writtenName = EffectivePools.nameInFile(name.backend)
        return written.first { $0.name == name.pool }?.backends.first { $0.name == writtenName }
    }

    private mutating func rebuild() {
        resolved = EffectivePools.resolve(written, answers: answers)
        pools = EffectivePools.apply(overrides, to: resolved)
        present = [:]
        for pool in resolved {
            for backend in pool.backends {
                present[Name(pool: pool.name, backend: backend.name)] = backend
            }
        }
    }
}
