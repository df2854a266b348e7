// SPDX-License-Identifier: Apache-2.0
//
// What one log line says and how it is written, logfmt or JSON. No clock, no output.

/// How grave an event is.
public enum LogLevel: Int, Comparable, Sendable, CaseIterable {
    /// For developers.
    case debug
    /// Normal life: starts, transitions, reloads.
    case info
    /// Something an operator should look at soon.
    case warning
    /// Something an operator should look at now.
    case error

    /// The word in the line.
    public var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }

    /// Compares gravity.
    public static func < (left: LogLevel, right: LogLevel) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The form of a line.
public enum LogFormat: Sendable {
    /// `key=value` pairs.
    case logfmt
    /// One JSON object.
    case json
}

/// One event: when, how grave, who says it, what, and details in order.
public struct LogLine: Sendable {
    /// Wall clock, nanoseconds since 1970.
    public var wallNanoseconds: UInt64
    /// Gravity.
    public var level: LogLevel
    /// The speaking part, such as `vrrp`.
    public var component: String
    /// A sentence for people; state lines start with the instance: `[vrid 51] ...`.
    public var message: String
    /// Details in the order given.
    public var fields: KeyValuePairs<String, String>

    /// The line without line end.
    ///
    /// Text from outside cannot forge a line: quotes, backslashes and control characters are
    /// escaped.
    func rendered(as format: LogFormat) -> String {
        let time = CalendarTime.rfc3339(wallNanoseconds: wallNanoseconds)
        switch format {
        case .logfmt:
            var line = "time=\(time) level=\(level.name) part=\(component) msg="
            line += Self.quoted(message)
            for (key, value) in fields {
                line += " \(key)=" + (Self.isPlain(value) ? value : Self.quoted(value))
            }
            return line
        case .json:
            var line = "{\"time\":\"\(time)\",\"level\":\"\(level.name)\",\"part\":"
            line += Self.quoted(component) + ",\"msg\":" + Self.quoted(message)
            for (key, value) in fields {
                line += "," + Self.quoted(key) + ":" + Self.quoted(value)
            }
            return line + "}"
        }
    }

    private static func isPlain(_ value: String) -> Bool {
        !value.isEmpty
            && value.utf8.allSatisfy { byte in
                byte > 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x3D && byte != 0x5C
            }
    }

    /// A JSON string literal, also used for logfmt.
    static func quoted(_ text: String) -> String {
        JSONText.quoted(text)
    }
}
