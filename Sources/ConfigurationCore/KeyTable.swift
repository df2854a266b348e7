// SPDX-License-Identifier: Apache-2.0
//
// Every key of tandem.yaml, once: limits and defaults for the reader, words for the reader's
// messages and for the printed reference. Sections live in KeyTable+*.swift.

import WireCore

/// Finds keys by their place in the document.
enum KeyTable {
    /// Every key in the order of the reference.
    static let all: [KeyDescription] =
        general + pair + tracking + virtualRouters + listeners + routes + pools + admin + timeouts
        + limits + accessLog + resolver

    private static let byPath: [String: KeyDescription] = Dictionary(
        uniqueKeysWithValues: all.map { ($0.path, $0) })

    private static let byParent: [String: [KeyDescription]] = Dictionary(
        grouping: all, by: \.parent)

    /// The key at `path`; asking for one that is not in the table is a bug of the reader.
    static func key(_ path: String) -> KeyDescription {
        guard let key = byPath[path] else { preconditionFailure("no key \(path)") }
        return key
    }

    /// The names of the keys directly under `parent`.
    static func names(under parent: String) -> [String] { namesByParent[parent] ?? [] }

    private static let namesByParent = byParent.mapValues { keys in
        keys.map(\.name).filter { $0 != "NAME" }
    }

    /// The mappings that have a key called `name`, those inside of `path` before all others; empty
    /// when there are too many to name.
    static func homes(ofKeysNamed name: String, inside path: String) -> [String] {
        let homes = all.filter { $0.name == name }.map(\.parent)
        let inner = homes.filter { !path.isEmpty && $0.hasPrefix("\(path).") }
        let named = inner.isEmpty ? homes : inner
        return named.count <= 4 ? named : []
    }

    /// What to write for the section at `path`; a lone `value` goes under the key that has such a
    /// word, or under the one required key.
    static func example(ofSection path: String, value: ConfigurationNode) -> String? {
        let keys = byParent[path] ?? []
        if case .scalar(let text, _) = value.content,
            let key = keys.first(where: { $0.form.words.contains(text) })
        {
            return "{ \(key.name): \(text) }"
        }
        let required = keys.filter(\.isUsual)
        if case .scalar(let text, _) = value.content, !value.isNull, required.count == 1,
            text.utf8.count <= Quoted.scalarCountMax, text.utf8.allSatisfy({ $0 >= 0x20 })
        {
            return "{ \(required[0].name): \(text) }"
        }
        if let key = byPath[path] { return "for example \(key.example)" }
        if path.isEmpty || required.isEmpty { return nil }
        return "for example { \(required.map(\.example).joined(separator: ", ")) }"
    }

    private static let general: [KeyDescription] = [
        KeyDescription(
            "workers", .integerOrAuto(1...64), .word("auto"),
            "Data-plane threads; auto runs one per core the process may use.",
            tooSmall: "cores stay idle while clients wait",
            tooLarge: "threads take turns on the cores and tail latency grows",
            example: "workers: auto"),
        KeyDescription(
            "zone", .name, .optional("no zone"),
            "Where this node stands, when its entry in pair.nodes does not say.",
            example: "zone: east"),
        KeyDescription(
            "pair", .section, .optional("a single node without virtual addresses"),
            "The two nodes and what they share.",
            example: "pair: { interface: eth0, nodes: {...}, virtual_routers: [...] }"),
        KeyDescription(
            "listeners", .named(1...64), .required,
            "Where clients connect.",
            example: "listeners: { web: { bind: 0.0.0.0:80, routes: [{ pool: web }] } }"),
        KeyDescription(
            "pools", .named(1...1_000), .required,
            "Groups of backends that serve the same content.",
            example: "pools: { web: { backends: { be1: { address: 10.0.0.1:8080 } } } }"),
        KeyDescription(
            "admin", .section, .optional("no metrics and no commands"),
            "Where the node answers its operator.",
            example: "admin: { http: 127.0.0.1:9900 }"),
        KeyDescription(
            "timeouts", .section, .optional("every limit at its default"),
            "Time limits of the data plane.",
            example: "timeouts: { connect: 3s }"),
        KeyDescription(
            "limits", .section, .optional("every limit at its default"),
            "Size and count limits of the data plane.",
            example: "limits: { body_size: 10MiB }"),
        KeyDescription(
            "access_log", .section, .optional("no access log"),
            "Where a line for each request goes.",
            example: "access_log: { file: /var/log/tandem/access.log }"),
    ]

    private static let admin: [KeyDescription] = [
        KeyDescription(
            "admin.http", .endpoint, .optional("nowhere"),
            "Where metrics, status and the dashboard are served.",
            example: "http: 127.0.0.1:9900"),
        KeyDescription(
            // sun_path of sockaddr_un has 108 bytes with the closing zero.
            "admin.socket", .filePath(byteCountMax: 107), .optional("none"),
            "Path of the socket that takes runtime commands.",
            example: "socket: /run/tandem/admin.sock"),
    ]
}
