// SPDX-License-Identifier: Apache-2.0
//
// How two nodes name the same backend: by pool, name and address, since a backend of the same name
// elsewhere is another machine. What a node says about its own view of it also names the node.
//
//     key   subject (1), length (2) and bytes of: pool, backend, address, and of the node that
//           speaks unless the subject is the traffic of both

import WireCore

/// Names a word about a backend.
struct BackendKey: Hashable, Sendable {
    /// What it is about.
    enum Subject: UInt8, Sendable {
        /// What traffic came to: the newest word of either node counts.
        case ejection = 1
        /// What the liveness check of one node says.
        case liveness = 2
        /// What the readiness check of one node says.
        case readiness = 3
        /// The growing share at one node.
        case ramp = 4
    }

    let subject: Subject
    let pool: String
    let backend: String
    let address: String
    /// Empty for what both nodes decide together.
    let node: String

    init(_ subject: Subject, pool: String, backend: String, address: Endpoint, node: String) {
        self.subject = subject
        self.pool = pool
        self.backend = backend
        self.address = address.description
        self.node = subject == .ejection ? "" : node
    }

    /// Reads a key; `nil` for bytes that mean nothing to this version.
    init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes.span.bytes)
        func text(_ reader: inout ByteReader) -> String? {
            reader.readUInt16().flatMap { reader.readBytes(Int($0)) }.map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        guard let subject = reader.readUInt8().flatMap({ Subject(rawValue: $0) }),
            let pool = text(&reader), let backend = text(&reader), let address = text(&reader),
            let node = text(&reader)
        else { return nil }
        self.subject = subject
        self.pool = pool
        self.backend = backend
        self.address = address
        self.node = node
    }

    /// The bytes of the key.
    var bytes: [UInt8] {
        var bytes = [subject.rawValue]
        for text in [pool, backend, address, node] {
            bytes.appendBigEndian(UInt16(truncatingIfNeeded: text.utf8.count))
            bytes += text.utf8
        }
        return bytes
    }
}
