// SPDX-License-Identifier: Apache-2.0
//
// What commands changed about a backend, as the other node of a pair hears it: a change says what
// the file said then, so that a file that says something else by now is not contradicted.
//
//     name      length of the pool's name (2), pool, backend (the rest)
//     change    hash of what the file says about the backend (8), override

import WireCore

/// A change of commands with the file that it was made against.
public struct SharedOverride: Hashable, Sendable {
    /// Everything that differs from the file.
    public var override: RuntimeOverride
    /// A hash of what the file says about the backend.
    public var basis: UInt64

    /// Makes a change against what the file says.
    public init(_ override: RuntimeOverride, basis: BackendConfiguration) {
        self.override = override
        self.basis = Self.hash(basis)
    }

    private init(_ override: RuntimeOverride, basis: UInt64) {
        self.override = override
        self.basis = basis
    }

    /// Nothing is changed any more, whatever a file says.
    public static var asConfigured: SharedOverride {
        SharedOverride(RuntimeOverride(), basis: 0)
    }

    /// Whether these bytes of a change say that nothing is changed.
    public static func isAsConfigured(_ bytes: [UInt8]) -> Bool {
        SharedOverride(bytes)?.override.isEmpty ?? false
    }

    /// Reads a change; `nil` for bytes that mean nothing to this version.
    public init?(_ bytes: [UInt8]) {
        var reader = ByteReader(unsafe bytes.span.bytes)
        guard let basis = reader.readUInt64(),
            let rest = reader.readBytes(reader.remainingByteCount),
            let override = RuntimeOverride(rest)
        else { return nil }
        self.override = override
        self.basis = basis
    }

    /// The bytes of the change.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(basis)
        return bytes + override.bytes
    }

    /// True when a file that says this about the backend leaves room for the change.
    ///
    /// That nothing is changed contradicts no file.
    public func holds(against basis: BackendConfiguration) -> Bool {
        override.isEmpty || Self.hash(basis) == self.basis
    }

    /// FNV-1a over what the file says: it only has to tell changes of a file apart.
    private static func hash(_ backend: BackendConfiguration) -> UInt64 {
        "\(backend.name) \(backend.text)".utf8.reduce(0xCBF2_9CE4_8422_2325) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01B3
        }
    }
}

extension RuntimeOverrides.Name {
    /// The bytes of the name.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(UInt16(clamping: pool.utf8.count))
        return bytes + Array(pool.utf8) + Array(backend.utf8)
    }

    /// Reads a name; `nil` for bytes that are none.
    public init?(_ bytes: [UInt8]) {
        var reader = ByteReader(unsafe bytes.span.bytes)
        guard let pool = reader.readUInt16().flatMap({ reader.readBytes(Int($0)) }),
            let backend = reader.readBytes(reader.remainingByteCount)
        else { return nil }
        self.init(
            pool: String(decoding: pool, as: UTF8.self),
            backend: String(decoding: backend, as: UTF8.self))
    }
}
