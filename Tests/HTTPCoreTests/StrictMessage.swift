// SPDX-License-Identifier: Apache-2.0
//
// A second reader of HTTP/1.1 heads, slow and plain, that shares no code with the first. It accepts
// only what a careful sender writes, so it says whether our output can be read in one way only.

/// A head as the second reader sees it.
struct StrictMessage: Equatable {
    var startLine: [String]
    var fields: [Field]

    /// Reads bytes that must be exactly one head; `nil` when anything about it is unusual.
    init?(_ bytes: [UInt8]) {
        var lines: [[UInt8]] = [[]]
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x0D {
                guard index + 1 < bytes.count, bytes[index + 1] == 0x0A else { return nil }
                lines.append([])
                index += 2
                continue
            }
            let byte = bytes[index]
            guard byte == 0x09 || (byte >= 0x20 && byte != 0x7F) else { return nil }
            lines[lines.count - 1].append(byte)
            index += 1
        }
        guard lines.count >= 3, lines.suffix(2).allSatisfy(\.isEmpty) else { return nil }
        startLine = lines[0].split(
            separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false
        ).map(Self.text)
        fields = []
        for line in lines[1..<(lines.count - 2)] {
            guard let colon = line.firstIndex(of: 0x3A), colon > 0,
                line[..<colon].allSatisfy(Self.isNameByte)
            else { return nil }
            let value = Self.text(line[(colon + 1)...])
            fields.append(
                Field(name: Self.text(line[..<colon]), value: Self.trimmed(value)))
        }
        guard hasOneFraming else { return nil }
    }

    /// The values of a field, whatever the case of its name.
    func values(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    private var hasOneFraming: Bool {
        let lengths = values("content-length")
        let codings = values("transfer-encoding")
        guard lengths.count + codings.count <= 1 else { return false }
        if let coding = codings.first { return coding == "chunked" }
        guard let length = lengths.first else { return true }
        return !length.isEmpty && UInt64(length).map { String($0) == length } == true
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        let scalar = Unicode.Scalar(byte)
        return scalar.properties.isASCIIHexDigit || ("a"..."z").contains(scalar)
            || ("A"..."Z").contains(scalar) || "!#$%&'*+-.^_`|~".unicodeScalars.contains(scalar)
    }

    private static func text(_ bytes: some Sequence<UInt8>) -> String {
        String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    private static func trimmed(_ value: String) -> String {
        var scalars = Array(value.unicodeScalars)
        while let last = scalars.last, last == " " || last == "\t" { scalars.removeLast() }
        while let first = scalars.first, first == " " || first == "\t" { scalars.removeFirst() }
        return String(String.UnicodeScalarView(scalars))
    }
}
