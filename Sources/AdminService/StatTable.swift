// SPDX-License-Identifier: Apache-2.0
//
// The answer to `show stat`: rows of listeners, backends and pools, as CSV or as HAProxy's typed
// JSON.

public import Telemetry

/// One row.
public struct StatRow: Sendable {
    /// What the row is about, with HAProxy's numbers.
    public enum Kind: Int, Sendable {
        /// A listener.
        case frontend = 0
        /// A pool.
        case backend = 1
        /// A backend.
        case server = 2

        var objectType: String {
            switch self {
            case .frontend: "Frontend"
            case .backend: "Backend"
            case .server: "Server"
            }
        }
    }

    /// A cell.
    public enum Value: Sendable, Equatable {
        /// Words.
        case text(String)
        /// A number.
        case number(UInt64)
    }

    /// What the row is about.
    public let kind: Kind
    /// Number of its pool or listener, and its own number in there (0 for the pool itself).
    public let numbers: (proxy: Int, service: Int)
    private var values: [StatField: Value] = [:]

    /// Starts a row; everything else is empty.
    public init(_ kind: Kind, proxy: String, service: String, numbers: (proxy: Int, service: Int)) {
        self.kind = kind
        self.numbers = numbers
        self[.proxy] = .text(proxy)
        self[.service] = .text(service)
        self[.process] = .number(1)
        self[.proxyNumber] = .number(UInt64(clamping: numbers.proxy))
        self[.serviceNumber] = .number(UInt64(clamping: numbers.service))
        self[.type] = .number(UInt64(clamping: kind.rawValue))
    }

    /// A cell; `nil` is empty.
    public subscript(field: StatField) -> Value? {
        get { values[field] }
        set { values[field] = newValue }
    }

    /// Fills a cell with a number.
    public mutating func set(_ field: StatField, _ number: some BinaryInteger) {
        self[field] = .number(UInt64(clamping: number))
    }

    /// Fills a cell with words.
    public mutating func set(_ field: StatField, _ text: String) {
        self[field] = .text(text)
    }
}

/// The whole answer.
public enum StatTable {
    /// Comma-separated, with a first line that names the columns.
    public static func csv(_ rows: [StatRow]) -> String {
        var text = "# " + StatField.columns.joined(separator: ",") + ",\n"
        for row in rows {
            for column in StatField.columns {
                text += column == "-" ? "-" : cell(row, column)
                text += ","
            }
            text += "\n"
        }
        return text
    }

    /// HAProxy's typed form: a list of objects, each a list of fields.
    public static func json(_ rows: [StatRow]) -> JSONValue {
        .array(
            rows.map { row in
                .array(
                    StatField.columns.enumerated().compactMap { position, column in
                        guard let field = StatField(rawValue: column), let value = row[field]
                        else { return nil }
                        return object(row, field, position: position, value)
                    })
            })
    }

    private static func cell(_ row: StatRow, _ column: String) -> String {
        guard let field = StatField(rawValue: column) else { return "" }
        return switch row[field] {
        case .text(let text): quoted(text)
        case .number(let number): String(number)
        case nil: ""
        }
    }

    /// RFC 4180 §2: what contains a comma, a quote or the end of a line is quoted.
    private static func quoted(_ text: String) -> String {
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\""
            + text.split(separator: "\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\"") + "\""
    }

    private static func object(
        _ row: StatRow, _ field: StatField, position: Int, _ value: StatRow.Value
    ) -> JSONValue {
        let typed: JSONValue =
            switch value {
            case .text(let text): .object([("type", .string("str")), ("value", .string(text))])
            case .number(let number):
                .object([("type", .string("u64")), ("value", .unsigned(number))])
            }
        return .object([
            ("objType", .string(row.kind.objectType)),
            ("proxyId", .integer(Int64(row.numbers.proxy))),
            ("id", .integer(Int64(row.numbers.service))),
            (
                "field",
                .object([
                    ("pos", .integer(Int64(position))), ("name", .string(field.rawValue)),
                ])
            ),
            ("processNum", .integer(1)),
            ("value", typed),
        ])
    }
}
