// SPDX-License-Identifier: Apache-2.0
//
// Shapes: mappings with fixed keys, mappings from names, lists; wrong shapes, unknown and
// duplicate keys.

extension ConfigurationReader {
    /// Reads a mapping with fixed keys; `nil` when it is something else.
    mutating func open(
        _ node: ConfigurationNode, path: String, title: String?, range: SourceRange
    ) -> Section? {
        let noun = title ?? "the file"
        guard
            let entries = mapping(
                node, noun: noun, range: range,
                example: KeyTable.example(ofSection: path, value: node))
        else { return nil }
        var section = Section(path: path, title: title, range: range, fields: [:])
        let known = KeyTable.names(under: path)
        var unknown: [Field] = []
        for field in unique(entries, noun: title ?? "the top level") {
            if known.contains(field.name) {
                section.fields[field.name] = field
            } else {
                unknown.append(field)
            }
        }
        for field in unknown { reportUnknown(field, known: known, in: &section) }
        return section
    }

    /// The section under the key `name`; `nil` when absent or no mapping.
    mutating func section(_ name: String, title: String, in section: Section) -> Section? {
        guard let field = field(name, in: section) else { return nil }
        let path = Self.path(name, in: section)
        return open(field.value, path: path, title: title, range: field.keyRange)
    }

    /// The entries of a mapping from names, names checked; `nil` when absent or no mapping.
    mutating func named(_ name: String, in section: Section) -> [Field]? {
        guard let fields = pairs(name, in: section) else { return nil }
        let noun = Self.phrase(name, in: section)
        for field in fields {
            do throws(ScalarProblem) {
                try NameText.check(name: field.name)
            } catch {
                let message = "bad name \(Quoted.text(field.name)) in \(noun): \(error.reason)"
                self.error(field.keyRange, message, suggestion: error.suggestion)
            }
        }
        return fields
    }

    /// The entries of a list; `nil` when absent or no list.
    mutating func list(_ name: String, in section: Section) -> [ConfigurationNode]? {
        guard let field = field(name, in: section) else { return nil }
        let key = KeyTable.key(Self.path(name, in: section))
        let noun = Self.phrase(name, in: section)
        guard case .sequence(let nodes) = field.value.content else {
            var suggestion = "write for example \(key.example)"
            if case .scalar(let text, _) = field.value.content {
                suggestion = "write \(name): [\(text)]"
            }
            error(
                field.value.range, "\(noun) must be a list, got \(field.value.kindText)",
                suggestion: suggestion)
            return nil
        }
        let allowed = checkCount(nodes.count, key, noun: noun, field.keyRange)
        return Array(nodes.prefix(allowed.upperBound))
    }

    /// The key `name`; reports a missing required key and a key without a value.
    mutating func field(_ name: String, in section: Section) -> Field? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard let field = section.fields[name] else {
            if key.isRequired { reportMissing(name, in: section) }
            return nil
        }
        if case .unusable = field.value.content { return nil }
        if field.value.isNull {
            let noun = Self.phrase(name, in: section)
            error(
                field.keyRange, "\(noun) has no value",
                suggestion: "write for example \(key.example)")
            return nil
        }
        return field
    }

    /// Reports that the key `name` is missing.
    mutating func reportMissing(_ name: String, in section: Section) {
        let key = KeyTable.key(Self.path(name, in: section))
        error(
            section.range, "\(section.title ?? "the file") has no \"\(name)\"",
            suggestion: "add for example \(key.example)")
    }

    /// The entries of a mapping with free keys, none of them twice; `nil` when absent or no
    /// mapping.
    mutating func pairs(_ name: String, in section: Section) -> [Field]? {
        guard let field = field(name, in: section) else { return nil }
        let key = KeyTable.key(Self.path(name, in: section))
        let noun = Self.phrase(name, in: section)
        guard
            let entries = mapping(
                field.value, noun: noun, range: field.keyRange,
                example: "for example \(key.example)")
        else { return nil }
        let allowed = checkCount(entries.count, key, noun: noun, field.keyRange)
        return unique(Array(entries.prefix(allowed.upperBound)), noun: noun)
    }

    /// The place of the key `name` of `section` in the key table.
    static func path(_ name: String, in section: Section) -> String {
        section.path.isEmpty ? name : "\(section.path).\(name)"
    }

    /// A key in a message: `"backends" of pool "web"`.
    static func phrase(_ name: String, in section: Section) -> String {
        section.title.map { "\"\(name)\" of \($0)" } ?? "\"\(name)\""
    }

    private mutating func mapping(
        _ node: ConfigurationNode, noun: String, range: SourceRange,
        example: @autoclosure () -> String?
    ) -> [ConfigurationNode.Entry]? {
        switch node.content {
        case .mapping(let entries): return entries
        case .unusable: return nil
        case .scalar, .sequence: break
        }
        let place = node.isNull ? range : node.range
        error(
            place, "\(noun) must be a mapping (key: value), got \(node.kindText)",
            suggestion: example().map { "write \($0)" })
        return nil
    }

    /// The entries as fields; a key that was there before is reported and left out.
    private mutating func unique(
        _ entries: [ConfigurationNode.Entry], noun: String
    ) -> [Field] {
        var firsts: [String: SourceRange] = [:]
        var fields: [Field] = []
        defer {
            // What was left out may have held a route.
            if fields.count < entries.count { facts.hasUnreadableRoutes = true }
        }
        for entry in entries {
            if case .unusable = entry.key.content { continue }
            guard case .scalar(let name, _) = entry.key.content else {
                error(entry.key.range, "a key of \(noun) is \(entry.key.kindText), not a name")
                continue
            }
            if let first = firsts[name] {
                error(
                    entry.key.range, "key \(Quoted.text(name)) is twice in \(noun)",
                    suggestion: "remove one",
                    notes: [Diagnostic.Note(range: first, message: "the first is here")])
                continue
            }
            firsts[name] = entry.key.range
            fields.append(Field(name: name, keyRange: entry.key.range, value: entry.value))
        }
        return fields
    }

    /// Reports an unknown key; one that is a slip of a known, absent key is read as that key, so
    /// that its value is checked too and no "missing" error follows.
    private mutating func reportUnknown(_ field: Field, known: [String], in section: inout Section)
    {
        // Nobody would see the suggestion; only the count goes on.
        guard !diagnostics.isFull else {
            error(field.keyRange, "unknown key")
            return
        }
        let place = section.title.map { "in \($0)" } ?? "at the top level"
        let nearest =
            Suggestion.nearest(to: field.name, in: known)
            ?? Suggestion.containing(field.name, in: known)
        let suggestion: String
        if let nearest {
            suggestion = "did you mean \"\(nearest)\"?"
        } else {
            suggestion =
                Self.home(of: field.name, in: section)
                ?? "known keys: \(Suggestion.list(known))"
        }
        error(
            field.keyRange, "unknown key \(Quoted.text(field.name)) \(place)",
            suggestion: suggestion)
        if let nearest, section.fields[nearest] == nil {
            section.fields[nearest] = Field(
                name: nearest, keyRange: field.keyRange, value: field.value)
        }
    }

    /// Where a key belongs that does not belong here.
    private static func home(of name: String, in section: Section) -> String? {
        let homes = KeyTable.homes(ofKeysNamed: name, inside: section.path)
        guard let last = homes.last else { return nil }
        if last.isEmpty { return "this key belongs at the top level" }
        let others = homes.dropLast().filter { !$0.isEmpty }.joined(separator: ", ")
        return "this key belongs under \(others.isEmpty ? last : "\(others) or \(last)")"
    }

    /// Reports a number of entries that is not allowed and returns what is; what lies beyond is
    /// not read, so that the work stays bounded.
    private mutating func checkCount(
        _ count: Int, _ key: KeyDescription, noun: String, _ range: SourceRange
    ) -> ClosedRange<Int> {
        let allowed: ClosedRange<Int>
        switch key.form {
        case .named(let range), .list(let range), .pairs(let range), .shares(let range),
            .statuses(let range), .networks(let range):
            allowed = range
        case .words(let words): allowed = 1...words.count
        default: preconditionFailure("\(key.path) has no entries")
        }
        guard !allowed.contains(count) else { return allowed }
        let limits =
            allowed.count == 1
            ? "exactly \(allowed.lowerBound)" : "\(allowed.lowerBound) to \(allowed.upperBound)"
        let entries = count == 1 ? "1 entry" : "\(count) entries"
        error(
            range, "\(noun) has \(entries); allowed are \(limits)",
            suggestion: count < allowed.lowerBound ? key.tooSmall : key.tooLarge)
        return allowed
    }
}
