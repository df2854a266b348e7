// SPDX-License-Identifier: Apache-2.0
//
// The vectors of Tests/Vectors/vrrp: values, and the bytes that other software makes of them.

import LinuxIO
import Testing
import WireCore

/// One block of a vector file: a name and fields.
struct Vector: Sendable, CustomTestStringConvertible {
    let name: String
    private let fields: [String: String]

    init(name: String, fields: [String: String]) {
        self.name = name
        self.fields = fields
    }

    var testDescription: String { name }

    /// A field, which the test needs.
    func text(_ field: String) throws -> String {
        try #require(fields[field], "\(name) has no \(field)")
    }

    /// Whether the vector has a field.
    func has(_ field: String) -> Bool { fields[field] != nil }

    /// A number in decimal.
    func number<Number: FixedWidthInteger>(_ field: String, as type: Number.Type) throws -> Number {
        try #require(Number(try text(field)))
    }

    /// An address of either family.
    func address(_ field: String) throws -> IPAddress {
        try #require(IPAddress(try text(field)))
    }

    /// Hexadecimal digits.
    func bytes(_ field: String) throws -> [UInt8] {
        let digits = Array(try text(field))
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)
        }
    }

    /// The vectors of a file; none when it cannot be read, and the test of their number fails.
    static func load(_ file: String) -> [Vector] {
        let folder = #filePath.split(separator: "/").dropLast(2).reduce(into: "") { $0 += "/\($1)" }
        let path = "\(folder)/Vectors/vrrp/\(file).txt"
        guard let bytes = try? FileSystem.read(path: path, byteCountMax: 1 << 20) else { return [] }
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        return lines.split(whereSeparator: \.isEmpty).compactMap { block in
            guard let first = block.first, first.first == "[" else { return nil }
            var fields: [String: String] = [:]
            for line in block.dropFirst() {
                let parts = line.split(separator: " ", maxSplits: 1)
                if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
            }
            return Vector(name: String(first.dropFirst().dropLast()), fields: fields)
        }
    }
}
