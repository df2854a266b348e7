// SPDX-License-Identifier: Apache-2.0
//
// What is known about one configuration key. The keys themselves: KeyTable.swift.

import WireCore

/// One key: the reader takes limits and defaults from here, the documentation its words.
struct KeyDescription: Hashable, Sendable {
    /// What values look like.
    enum Form: Hashable, Sendable {
        case duration(ClosedRange<TimeSpan>, step: TimeSpan?)
        case integer(ClosedRange<Int>)
        /// Bytes, written with a unit.
        case size(ClosedRange<Int>)
        /// Hundredths of `percent`, written with at most two decimals.
        case percent(ClosedRange<Int>)
        /// A number with at most so many decimals, counted in units of the last.
        case decimal(ClosedRange<Int>, places: Int)
        /// The word `auto` or a number.
        case integerOrAuto(ClosedRange<Int>)
        /// The word `off` or a number.
        case integerOrOff(ClosedRange<Int>)
        /// The word `fault` or a number of priority points.
        case penalty(ClosedRange<Int>)
        /// The word `auto` or a duration.
        case durationOrAuto(ClosedRange<TimeSpan>)
        case boolean
        case choice([String])
        /// A list of words.
        case words([String])
        case ipv4Address
        case ipv6Address
        /// An address of either family.
        case ipAddress
        case endpoint
        /// An endpoint, a host name with a port, or `srv:` and a service's name.
        case backendAddress
        case hostName
        case urlPath
        case filePath(byteCountMax: Int)
        /// The word `stderr` or a path.
        case logFile(byteCountMax: Int)
        /// Free text.
        case text(byteCountMax: Int)
        /// Bytes, written as text with escapes.
        case payload(byteCountMax: Int)
        /// Ranges of statuses, one or a list.
        case statusRanges
        case mediaType
        /// The words `client`, `path`, `tuple`, `header:NAME` or `cookie:NAME`.
        case hashKey
        /// A token of RFC 9110.
        case token
        /// A name as of nodes, pools and backends.
        case name
        /// The words `client`, `route` or `header:NAME`.
        case bucketKey
        case interfaceName
        case poolName
        /// A mapping with fixed keys.
        case section
        /// A mapping with fixed keys, or the words `on` and `off`.
        case sectionOrOff
        /// A mapping from names to sections.
        case named(ClosedRange<Int>)
        /// A mapping from names of headers, parameters or cookies to values.
        case pairs(ClosedRange<Int>)
        /// A mapping from pools to weights.
        case shares(ClosedRange<Int>)
        /// A mapping from statuses to sections.
        case statuses(ClosedRange<Int>)
        /// A list.
        case list(ClosedRange<Int>)
        /// A list of networks.
        case networks(ClosedRange<Int>)
    }

    /// What an absent key means.
    enum Presence: Hashable, Sendable {
        case required
        /// Required unless the words say otherwise; the reader knows when.
        case expected(String)
        /// Absent means what the words say.
        case optional(String)
        case duration(TimeSpan)
        case integer(Int)
        case size(Int)
        case percent(Int)
        /// In units of the last place of the form.
        case decimal(Int)
        case boolean(Bool)
        case word(String)
    }

    /// Place in the document: `pools.NAME.backends.NAME.weight`, `[]` stands for a list's entry.
    var path: String
    var form: Form
    var presence: Presence
    /// What it does, one sentence.
    var meaning: String
    /// What goes wrong when the value is too small.
    var tooSmall: String?
    /// What goes wrong when the value is too large.
    var tooLarge: String?
    /// A valid line of YAML.
    var example: String

    init(
        _ path: String, _ form: Form, _ presence: Presence, _ meaning: String,
        tooSmall: String? = nil, tooLarge: String? = nil, example: String
    ) {
        self.path = path
        self.form = form
        self.presence = presence
        self.meaning = meaning
        self.tooSmall = tooSmall
        self.tooLarge = tooLarge
        self.example = example
    }

    /// The last component of the path.
    var name: String {
        path.split(separator: ".").last.map(String.init) ?? path
    }

    /// The path of the mapping that holds the key; empty at the top level.
    var parent: String {
        guard let dot = path.lastIndex(of: ".") else { return "" }
        return String(path[..<dot])
    }

    /// True when the key must be written.
    var isRequired: Bool { presence == .required }

    /// True when examples of the mapping that holds the key show it.
    var isUsual: Bool {
        switch presence {
        case .required, .expected: true
        default: false
        }
    }
}

extension KeyDescription.Form {
    /// The words of a choice.
    var words: [String] {
        guard case .choice(let words) = self else { return [] }
        return words
    }

    /// The values allowed, in words.
    var text: String {
        switch self {
        case .duration(let range, let step):
            let steps = step.map { " in steps of \($0)" } ?? ""
            return "duration, \(Self.text(range))\(steps)"
        case .integer(let range): return "integer, \(Self.text(range))"
        case .size(let range):
            return "size, \(SizeText.render(range.lowerBound)) to "
                + SizeText.render(range.upperBound)
        case .percent(let range):
            return "number, \(PercentText.render(range.lowerBound)) to "
                + "\(PercentText.render(range.upperBound)), at most two decimals"
        case .decimal(let range, let places):
            return "number, \(DecimalText.render(range.lowerBound, places: places)) to "
                + "\(DecimalText.render(range.upperBound, places: places)), "
                + "at most \(DecimalText.words(places)) decimals"
        case .integerOrOff(let range): return "off or integer, \(Self.text(range))"
        case .penalty(let range): return "fault or integer, \(Self.text(range))"
        case .durationOrAuto(let range): return "auto or duration, \(Self.text(range))"
        case .integerOrAuto(let range): return "auto or integer, \(Self.text(range))"
        case .boolean: return "true or false"
        case .choice(let words): return "one of \(words.joined(separator: ", "))"
        case .words(let words): return "list of \(words.joined(separator: ", "))"
        case .backendAddress:
            return "address:port, host name:port, or srv: and the name of SRV records"
        case .payload(let byteCountMax):
            return "text of at most \(SizeText.render(byteCountMax)); "
                + "\\r \\n \\t \\0 \\xHH \\\\ are bytes"
        case .statusRanges: return "status or range of statuses, or a list of them"
        case .hashKey: return "client, path, tuple, header:NAME or cookie:NAME"
        case .token: return "name of letters, digits and !#$%&'*+-.^_`|~"
        case .name: return "name of letters, digits and -_."
        case .sectionOrOff: return "mapping, on or off"
        case .ipv4Address: return "IPv4 address"
        case .ipv6Address: return "IPv6 address"
        case .ipAddress: return "IPv4 or IPv6 address"
        case .endpoint: return "address:port; IPv6 addresses in brackets and quotes"
        case .hostName: return "host name without port; may begin with \"*.\""
        case .urlPath: return "path that begins with /"
        case .filePath(let byteCountMax): return "path of at most \(byteCountMax) bytes"
        case .logFile(let byteCountMax):
            return "stderr or an absolute path of at most \(byteCountMax) bytes"
        case .text(let byteCountMax): return "text of at most \(SizeText.render(byteCountMax))"
        case .mediaType: return "media type such as text/plain; charset=utf-8"
        case .bucketKey: return "client, route or header:NAME"
        case .interfaceName: return "interface name, 1 to 15 bytes"
        case .poolName: return "name of a pool"
        case .section: return "mapping"
        case .named(let range): return "mapping from names, \(Self.text(range, "entry"))"
        case .pairs(let range):
            return "mapping from names to values, \(Self.text(range, "entry"))"
        case .shares(let range):
            return "mapping from pools to weights, \(Self.text(range, "entry"))"
        case .statuses(let range):
            return "mapping from statuses (400 to 599), \(Self.text(range, "entry"))"
        case .networks(let range):
            return "list of networks such as 10.0.0.0/8, \(Self.text(range, "entry"))"
        case .list(let range): return "list, \(Self.text(range, "entry"))"
        }
    }

    private static func text(_ range: ClosedRange<TimeSpan>) -> String {
        "\(DurationText.render(range.lowerBound)) to \(DurationText.render(range.upperBound))"
    }

    private static func text(_ range: ClosedRange<Int>, _ noun: String? = nil) -> String {
        let numbers =
            range.count == 1
            ? "exactly \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        guard let noun else { return numbers }
        return numbers + (range.upperBound == 1 ? " \(noun)" : " entries")
    }
}
