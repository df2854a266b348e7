// SPDX-License-Identifier: Apache-2.0
//
// Reports about backends as bytes.
//
//     report     kind (1), body
//     ejection 1 phase: over 0, out 1, trial 2, trial taken 3 (1), number (2),
//                age in milliseconds (4), remaining milliseconds (4), cause (1), its numbers (4, 4)
//     check 2    liveness 1 or readiness 2 (1), fails 1 or not 0 (1), reason (1), its number (4),
//                length of its text (1), text
//     ramp 3     grows 1 or not 0 (1), since milliseconds (4)
//
// All numbers are big-endian; what follows the known bytes belongs to later versions.

public import WireCore

extension BackendReport {
    /// The longest text of a reason on the wire.
    static let textByteCountMax = 128

    /// The bytes of the report.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .ejection(let report):
            bytes.append(1)
            report.append(to: &bytes)
        case .check(let kind, let failure):
            bytes += [2, kind == .liveness ? 1 : 2, failure == nil ? 0 : 1]
            let (code, number, text) = failure?.code ?? (0, 0, "")
            bytes.append(code)
            bytes.appendBigEndian(number)
            let shown = text.utf8.prefix(Self.textByteCountMax)
            bytes.append(UInt8(shown.count))
            bytes += shown
        case .ramp(let elapsed):
            bytes += [3, elapsed == nil ? 0 : 1]
            bytes.appendBigEndian(UInt32(clamping: (elapsed ?? .zero).milliseconds))
        }
        return bytes
    }

    /// Whether these bytes of a report say that nothing keeps the backend from serving.
    public static func isBlank(_ bytes: [UInt8]) -> Bool {
        switch BackendReport(bytes, age: .zero) {
        case .ejection(let report)?: report.phase == .over
        case .check(_, let failure)?: failure == nil
        case .ramp(let elapsed)?: elapsed == nil
        case nil: false
        }
    }

    /// Reads a report that was made so long ago; `nil` for bytes that mean nothing to this version.
    public init?(_ bytes: [UInt8], age: TimeSpan) {
        var reader = ByteReader(unsafe bytes.span.bytes)
        switch reader.readUInt8() {
        case 1:
            guard let report = EjectionReport(&reader) else { return nil }
            self = .ejection(report.later(by: age))
        case 2:
            guard let kind = reader.readUInt8(), (1...2).contains(kind),
                let fails = reader.readUInt8(), fails <= 1, let code = reader.readUInt8(),
                let number = reader.readUInt32(), let textByteCount = reader.readUInt8(),
                let text = reader.readBytes(Int(textByteCount))
            else { return nil }
            let failure =
                fails == 1
                ? ProbeFailure(
                    code: code, number: number, text: String(decoding: text, as: UTF8.self)) : nil
            if fails == 1, failure == nil { return nil }
            self = .check(kind == 1 ? .liveness : .readiness, failure)
        case 3:
            guard let grows = reader.readUInt8(), grows <= 1, let since = reader.readUInt32() else {
                return nil
            }
            self = .ramp(grows == 1 ? .milliseconds(UInt64(since)) + age : nil)
        default:
            return nil
        }
    }
}

extension EjectionReport {
    fileprivate func append(to bytes: inout [UInt8]) {
        var remaining = TimeSpan.zero
        switch phase {
        case .over: bytes.append(0)
        case .out(let span):
            bytes.append(1)
            remaining = span
        case .trial(let isTaken): bytes.append(isTaken ? 3 : 2)
        }
        bytes.appendBigEndian(UInt16(clamping: number))
        bytes.appendBigEndian(UInt32(clamping: age.milliseconds))
        bytes.appendBigEndian(UInt32(clamping: remaining.milliseconds))
        let (code, first, second) = cause.code
        bytes.append(code)
        bytes.appendBigEndian(UInt32(clamping: first))
        bytes.appendBigEndian(UInt32(clamping: second))
    }

    fileprivate init?(_ reader: inout ByteReader) {
        guard let phaseCode = reader.readUInt8(), let number = reader.readUInt16(),
            let age = reader.readUInt32(), let remaining = reader.readUInt32(),
            let code = reader.readUInt8(), let first = reader.readUInt32(),
            let second = reader.readUInt32(),
            let cause = EjectionCause(code: code, Int(first), Int(second))
        else { return nil }
        let phase: Phase
        switch phaseCode {
        case 0: phase = .over
        case 1: phase = .out(remaining: .milliseconds(UInt64(remaining)))
        case 2: phase = .trial(isTaken: false)
        case 3: phase = .trial(isTaken: true)
        default: return nil
        }
        self.init(
            phase: phase, cause: cause, number: Int(number), age: .milliseconds(UInt64(age)))
    }
}

extension EjectionCause {
    fileprivate var code: (UInt8, Int, Int) {
        switch self {
        case .serverErrors(let count): (1, count, 0)
        case .gatewayErrors(let count): (2, count, 0)
        case .refusedConnections(let count): (3, count, 0)
        case .localErrors(let count): (4, count, 0)
        case .lowSuccessRate(let rate, let threshold): (5, rate, threshold)
        case .highFailureRate(let percent): (6, percent, 0)
        case .failedTrial: (7, 0, 0)
        }
    }

    fileprivate init?(code: UInt8, _ first: Int, _ second: Int) {
        switch code {
        case 1: self = .serverErrors(count: first)
        case 2: self = .gatewayErrors(count: first)
        case 3: self = .refusedConnections(count: first)
        case 4: self = .localErrors(count: first)
        case 5: self = .lowSuccessRate(rate: first, threshold: second)
        case 6: self = .highFailureRate(percent: first)
        case 7: self = .failedTrial
        default: return nil
        }
    }
}

extension ProbeFailure {
    fileprivate var code: (UInt8, UInt32, String) {
        switch self {
        case .connectionRefused: (1, 0, "")
        case .timedOut: (2, 0, "")
        case .connectionClosed: (3, 0, "")
        case .unexpectedStatus(let status): (4, UInt32(clamping: status), "")
        case .bodyMismatch: (5, 0, "")
        case .unexpectedAnswer: (6, 0, "")
        case .malformedResponse: (7, 0, "")
        case .responseTooLong: (8, 0, "")
        case .notServing(let status): (9, UInt32(status.rawValue), "")
        case .callStatus(let status): (10, UInt32(clamping: status), "")
        case .system(let text): (11, 0, text)
        }
    }

    fileprivate init?(code: UInt8, number: UInt32, text: String) {
        switch code {
        case 1: self = .connectionRefused
        case 2: self = .timedOut
        case 3: self = .connectionClosed
        case 4: self = .unexpectedStatus(Int(number))
        case 5: self = .bodyMismatch
        case 6: self = .unexpectedAnswer
        case 7: self = .malformedResponse
        case 8: self = .responseTooLong
        case 9:
            guard let status = ServingStatus(rawValue: UInt8(clamping: number)) else { return nil }
            self = .notServing(status)
        case 10: self = .callStatus(Int(number))
        // It ends up in log lines: control characters of a broken peer do not.
        case 11: self = .system(String(text.map { $0.isASCII && $0 >= " " ? $0 : "?" }))
        default: return nil
        }
    }
}
