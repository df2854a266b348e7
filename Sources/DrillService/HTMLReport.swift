// SPDX-License-Identifier: Apache-2.0
//
// The report as one self-contained page. Pure.

/// Renders a report as HTML.
enum HTMLReport {
    static func render(_ report: DrillReport) -> String {
        "<!doctype html><meta charset=\"utf-8\"><title>\(escaped(report.options.label))</title>"
            + "<pre>\(escaped(TextReport.render(report)))</pre>\n"
    }

    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }
}
