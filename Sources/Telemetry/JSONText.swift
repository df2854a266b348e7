// SPDX-License-Identifier: Apache-2.0
//
// Writing JSON, for logs, status and reports. Reading it is nobody's job here.

/// Pieces of JSON text (RFC 8259).
public enum JSONText {
    /// A string literal; control characters, quotes and backslashes are escaped (RFC 8259 §7).
    public static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}

/// A JSON value that renders itself; object members keep their order.
public indirect enum JSONValue: Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A whole number.
    case integer(Int64)
    /// A whole number that may exceed the signed range.
    case unsigned(UInt64)
    /// A number; what is not finite becomes `null`.
    case number(Double)
    /// A string.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// Members in order.
    case object([(String, JSONValue)])

    /// The text, on one line, or indented by two spaces a level.
    public func rendered(pretty: Bool = false) -> String {
        var text = ""
        render(into: &text, indent: pretty ? 0 : nil)
        return text
    }

    private func render(into text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .unsigned(let value): text += String(value)
        case .number(let value): text += value.isFinite ? String(value) : "null"
        case .string(let value): text += JSONText.quoted(value)
        case .array(let values):
            Self.render(values, "[", "]", into: &text, indent: indent) { value, text, inner in
                value.render(into: &text, indent: inner)
            }
        case .object(let members):
            Self.render(members, "{", "}", into: &text, indent: indent) { member, text, inner in
                text += JSONText.quoted(member.0) + (inner == nil ? ":" : ": ")
                member.1.render(into: &text, indent: inner)
            }
        }
    }

    private static func render<Element>(
        _ elements: [Element], _ open: String, _ close: String, into text: inout String,
        indent: Int?, _ body: (Element, inout String, Int?) -> Void
    ) {
        guard !elements.isEmpty else {
            text += open + close
            return
        }
        let inner = indent.map { $0 + 2 }
        text += open
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            if let inner { text += "\n" + String(repeating: " ", count: inner) }
            body(element, &text, inner)
        }
        if let indent { text += "\n" + String(repeating: " ", count: indent) }
        text += close
    }
}
