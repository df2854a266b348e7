// SPDX-License-Identifier: Apache-2.0
//
// The keys `workers` and `admin`.

import WireCore

extension ConfigurationReader {
    /// Key `workers`.
    mutating func workers(in top: Section) -> WorkerCount {
        let key = KeyTable.key("workers")
        guard case .integerOrAuto(let range) = key.form else {
            preconditionFailure("workers is auto or a number")
        }
        let located = value("workers", "value", in: top) { text throws(ScalarProblem) in
            if text == "auto" { return WorkerCount.automatic }
            if let first = text.utf8.first, !(0x2D...0x39).contains(first) {
                throw ScalarProblem(
                    "allowed are auto and \(range.lowerBound) to \(range.upperBound)",
                    suggestion: Suggestion.nearest(to: text, in: ["auto"]).map {
                        "did you mean \"\($0)\"?"
                    })
            }
            return .exactly(try Self.integer(text, range, key))
        }
        return located?.value ?? .automatic
    }

    /// Key `admin`.
    mutating func admin(in top: Section) -> AdminConfiguration {
        guard let section = section("admin", title: "admin", in: top) else {
            return AdminConfiguration(http: nil, socket: nil)
        }
        let http = value("http", "address", in: section) { text throws(ScalarProblem) in
            try AddressText.endpoint(text, assuming: .loopback)
        }
        if let http {
            facts.sockets.append(
                ConfigurationFacts.Socket(
                    owner: "admin.http", endpoint: http.value, range: http.range))
        }
        let socket = filePath("socket", in: section)
        return AdminConfiguration(http: http?.value, socket: socket?.value)
    }

    /// A file's path.
    mutating func filePath(_ name: String, in section: Section) -> Located<String>? {
        guard case .filePath(let byteCountMax) = KeyTable.key(Self.path(name, in: section)).form
        else { preconditionFailure("\(name) is no path") }
        return value(name, "path", in: section) { text throws(ScalarProblem) in
            try NameText.check(filePath: text, byteCountMax: byteCountMax)
            return text
        }
    }
}
