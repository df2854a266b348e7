// SPDX-License-Identifier: Apache-2.0
//
// The rule that every address and port has one user on a node.

import WireCore

/// Finds two users of one address and port.
enum SocketCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        var taken: [ConfigurationFacts.Socket] = []
        if let port = facts.linkPort {
            taken = facts.nodes.compactMap(\.address).flatMap { address in
                // Replication listens one port above the link.
                [("the pair link", port.value), ("replication", port.value &+ 1)].map {
                    ConfigurationFacts.Socket(
                        owner: $0, endpoint: Endpoint(address: .v4(address.value), port: $1),
                        range: port.range)
                }
            }
        }
        for socket in facts.sockets {
            if let other = taken.first(where: { overlap($0.endpoint, socket.endpoint) }) {
                report(socket, takenBy: other, into: &diagnostics)
            }
            taken.append(socket)
        }
        checkLoops(facts, into: &diagnostics)
    }

    /// Two sockets of one family collide on a port when one takes every address or both the same.
    static func overlap(_ left: Endpoint, _ right: Endpoint) -> Bool {
        guard left.port == right.port else { return false }
        switch (left.address, right.address) {
        case (.v4(let one), .v4(let other)): return one == other || one == .any || other == .any
        case (.v6(let one), .v6(let other)): return one == other || one == .any || other == .any
        case (.v4, .v6), (.v6, .v4): return false
        }
    }

    private static func report(
        _ socket: ConfigurationFacts.Socket, takenBy other: ConfigurationFacts.Socket,
        into diagnostics: inout DiagnosticList
    ) {
        let message =
            "\(socket.owner) cannot use \(socket.endpoint): \(other.owner) already uses "
            + "\(other.endpoint)"
        let hint =
            socket.endpoint.address != other.endpoint.address && other.endpoint.address.isAny
            ? "\(other.endpoint.address) takes port \(socket.endpoint.port) of every address"
            : "choose another port"
        diagnostics.add(
            Diagnostic(
                .error, socket.range, message, suggestion: hint,
                notes: [Diagnostic.Note(range: other.range, message: "\(other.owner) is here")]))
    }

    /// A backend that is one of our own listeners would be sent its own requests for ever.
    private static func checkLoops(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        let own = Set(facts.virtualRouters.flatMap(\.addresses).map(\.value))
        for backend in facts.backends {
            guard case .endpoint(let endpoint) = backend.address.value,
                own.contains(endpoint.address),
                let socket = facts.sockets.first(where: { overlap($0.endpoint, endpoint) })
            else { continue }
            diagnostics.add(
                Diagnostic(
                    .error, backend.address.range,
                    "backend \(Quoted.text(backend.name)) is the pair's own \(socket.owner)",
                    suggestion: "requests would go in circles; write the server's own address"))
        }
    }
}
