// SPDX-License-Identifier: Apache-2.0
//
// Ranges of HTTP statuses as they are written in the file.

/// Reads and writes `200-299, 404`.
enum StatusRangeText {
    /// Ranges of one key.
    static let countMax = 32
    private static let allowed: ClosedRange<UInt16> = 100...599

    /// The ranges that `text` says.
    static func parse(_ text: String) throws(ScalarProblem) -> [ClosedRange<UInt16>] {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= countMax else {
            throw ScalarProblem("allowed are at most \(countMax) ranges")
        }
        var ranges: [ClosedRange<UInt16>] = []
        for part in parts {
            let trimmed = part.drop { $0 == " " }
            let count = trimmed.reversed().prefix { $0 == " " }.count
            ranges.append(try range(String(trimmed.dropLast(count))))
        }
        return ranges
    }

    private static func range(_ text: String) throws(ScalarProblem) -> ClosedRange<UInt16> {
        let lowered = text.lowercased()
        if lowered.utf8.count == 3, lowered.hasSuffix("xx"), let digit = lowered.first,
            ("1"..."5").contains(digit)
        {
            throw .didYouMean("a range has two ends", "\(digit)00-\(digit)99")
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        let statuses = ends.compactMap { end -> UInt16? in
            end.utf8.count == 3 && end.utf8.allSatisfy { (0x30...0x39).contains($0) }
                ? UInt16(end) : nil
        }
        guard statuses.count == ends.count, (1...2).contains(ends.count) else {
            throw ScalarProblem(
                "statuses are written as 200 or 200-299", suggestion: "write for example 200-399")
        }
        let (low, high) = (statuses[0], statuses[statuses.count - 1])
        guard allowed.contains(low), allowed.contains(high) else {
            throw ScalarProblem(
                "allowed are \(allowed.lowerBound) to \(allowed.upperBound)")
        }
        guard low <= high else { throw .didYouMean("the ends are swapped", "\(high)-\(low)") }
        return low...high
    }

    /// The ranges as a person writes them.
    static func render(_ ranges: [ClosedRange<UInt16>]) -> String {
        ranges.map { range in
            range.count == 1
                ? String(range.lowerBound) : "\(range.lowerBound)-\(range.upperBound)"
        }.joined(separator: ", ")
    }
}
