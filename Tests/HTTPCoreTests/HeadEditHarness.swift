// SPDX-License-Identifier: Apache-2.0
//
// Edits as the tests write them, and what they mean, told a second time in the plainest way.

import HTTPCore

/// One edit of a configuration.
enum Edit: CustomStringConvertible {
    case remove(String)
    case set(String, String)
    case add(String, String)

    var name: String {
        switch self {
        case .remove(let name), .set(let name, _), .add(let name, _): name
        }
    }

    var description: String {
        switch self {
        case .remove(let name): "remove \(name)"
        case .set(let name, let value): "set \(name): \(value)"
        case .add(let name, let value): "add \(name): \(value)"
        }
    }

    /// Gives the edit to a builder; false when it is refused.
    func apply(to builder: inout HeadEditBuilder) -> Bool {
        switch self {
        case .remove(let name): builder.remove(latin1(name))
        case .set(let name, let value): builder.set(latin1(name), to: latin1(value))
        case .add(let name, let value): builder.add(latin1(name), latin1(value))
        }
    }

    /// What the edit means for a list of fields.
    func apply(to fields: inout [Field]) {
        func drop() { fields.removeAll { $0.name.lowercased() == name.lowercased() } }
        switch self {
        case .remove: drop()
        case .set(let name, let value):
            drop()
            fields.append(Field(name: name, value: value))
        case .add(let name, let value): fields.append(Field(name: name, value: value))
        }
    }
}

/// A builder that says what it takes.
final class EditBench {
    var builder: HeadEditBuilder

    init(_ direction: HeadDirection) {
        builder = HeadEditBuilder(direction)
    }

    /// Gives it one edit; false when it is refused.
    func takes(_ edit: Edit) -> Bool { edit.apply(to: &builder) }
}

/// Compiles edits, all of which must be allowed, and lends them.
func withEdits<Result>(
    _ edits: [Edit], _ direction: HeadDirection = .request, _ body: (HeadEditList) -> Result
) -> Result {
    var builder = HeadEditBuilder(direction)
    for edit in edits { precondition(edit.apply(to: &builder), "refused: \(edit)") }
    let compiled = builder.build()
    return body(compiled.list)
}

/// The values of each name in order, names in lower case: what a recipient can tell apart.
func meaning(_ fields: [Field]) -> [String: [String]] {
    var values: [String: [String]] = [:]
    for field in fields { values[field.name.lowercased(), default: []].append(field.value) }
    return values
}
