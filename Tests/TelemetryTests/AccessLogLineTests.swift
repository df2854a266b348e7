// SPDX-License-Identifier: Apache-2.0
//
// Goal: a line says what happened in the form it promises, and no byte of a client can end the
// line, end the value it stands in, or make the line longer than a pipe takes at once.
// Method: golden lines, a table of hostile values, random bytes against a strict JSON reader.

import AccessLogLaboratory
import Telemetry
import Testing
import WireCore

/// Values of a request as text, to be borrowed for one call.
private struct Sample {
    var method = Array("GET".utf8)
    var host = Array("www.example.org".utf8)
    var target = Array("/a/b?c=d".utf8)
    var referer = Array("https://example.org/".utf8)
    var agent = Array("curl/8.5.0".utf8)
    var requestID = Array("00112233445566778899aabbccddeeff".utf8)
    var service = AccessLogRequest.Service.http
    var peer: [UInt8] = []

    static func filled(with bytes: [UInt8]) -> Sample {
        var sample = Sample()
        sample.method = bytes
        sample.host = bytes
        sample.target = bytes
        sample.referer = bytes
        sample.agent = bytes
        return sample
    }

    /// The line that these values make, without its end; `nil` when the opening finds no room.
    func line(
        _ format: AccessLogFormat, _ result: AccessLogResult = .sample,
        room: Int = AccessLogFormatter.openingByteCountMax
    ) -> [UInt8]? {
        var formatter = AccessLogFormatter(format)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 16)
        let out = UnsafeMutableRawBufferPointer.allocate(
            byteCount: AccessLogFormatter.lineByteCountMax, alignment: 16)
        defer {
            memory.deallocate()
            out.deallocate()
        }
        var values: [UnsafeMutableRawBufferPointer] = []
        func borrow(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
            let copy = UnsafeMutableRawBufferPointer.allocate(
                byteCount: bytes.count, alignment: 1)
            copy.copyBytes(from: bytes)
            values.append(copy)
            return UnsafeRawBufferPointer(copy)
        }
        defer { for value in values { value.deallocate() } }
        var request = AccessLogRequest()
        request.wallNanoseconds = 1_795_248_059_007_999_999
        request.service = service
        request.node = borrow(Array("lb1".utf8))
        request.listener = borrow(Array("web".utf8))
        request.client = borrow(Array("192.0.2.7".utf8))
        request.clientPort = 50_123
        request.peer = borrow(peer)
        if service == .http {
            request.method = borrow(method)
            request.host = borrow(host)
            request.target = borrow(target)
            request.referer = borrow(referer)
            request.userAgent = borrow(agent)
            request.requestID = borrow(requestID)
        }
        guard let opening = formatter.begin(request, into: memory) else { return nil }
        #expect(opening.byteCount <= AccessLogFormatter.openingByteCountMax)
        var result = result
        if result.retryCount > 0 {
            result.pool = borrow(Array("app".utf8))
            result.backend = borrow(Array("app-2".utf8))
        }
        let count = AccessLogFormatter.finish(
            opening, UnsafeRawBufferPointer(memory), result, into: out)
        #expect(count > 0 && out[count - 1] == UInt8(ascii: "\n"))
        return Array(out[..<(count - 1)])
    }

    func text(_ format: AccessLogFormat, _ result: AccessLogResult = .sample) -> String {
        String(decoding: line(format, result) ?? [], as: UTF8.self)
    }
}

extension AccessLogResult {
    fileprivate static var sample: AccessLogResult {
        var result = AccessLogResult()
        result.status = 200
        result.receivedByteCount = 310
        result.sentByteCount = 10_240
        result.sentHeadByteCount = 240
        result.idleMicroseconds = 1_000_000
        result.headMicroseconds = 9
        result.queueMicroseconds = 10
        result.connectMicroseconds = 99
        result.responseMicroseconds = 100
        result.totalMicroseconds = 18_446_744_073_709_551_615
        result.route = 3
        result.isReused = true
        result.retryCount = 1
        return result
    }
}

@Suite struct AccessLogLineTests {
    @Test func jsonLineHasEveryField() {
        #expect(
            Sample().text(.json) == #"{"time":"2026-11-21T08:00:59.007Z","node":"lb1","#
                + #""listener":"web","client":"192.0.2.7","client_port":50123,"#
                + #""protocol":"HTTP/1.1","method":"GET","host":"www.example.org","#
                + #""target":"/a/b?c=d","request_id":"00112233445566778899aabbccddeeff","#
                + #""referer":"https://example.org/","user_agent":"curl/8.5.0","status":200,"#
                + #""bytes_received":310,"bytes_sent":10240,"idle_us":1000000,"head_us":9,"#
                + #""queue_us":10,"connect_us":99,"response_us":100,"#
                + #""total_us":18446744073709551615,"route":3,"pool":"app","backend":"app-2","#
                + #""reused":true,"retries":1,"replays":0,"termination":"--"}"#)
    }

    @Test func whatDidNotHappenIsLeftOut() throws {
        var sample = Sample.filled(with: [])
        sample.peer = Array("10.0.0.9".utf8)
        var result = AccessLogResult()
        result.cause = .clientTimedOut
        let line = try #require(sample.line(.json, result).flatMap { AccessLogJSON($0) })
        for name in ["method", "target", "queue_us", "connect_us", "backend", "route", "reused"] {
            #expect(line[name] == nil)
        }
        #expect(line["termination"] == "cR")
        #expect(line["peer"] == "10.0.0.9")
        #expect(line["status"] == "0")
    }

    @Test func sessionOfBytesHasNoRequest() throws {
        var sample = Sample()
        sample.service = .tcp
        let line = try #require(sample.line(.json).flatMap { AccessLogJSON($0) })
        #expect(line["protocol"] == "tcp")
        #expect(line["method"] == nil)
        #expect(sample.text(.common).contains("] \"TCP\" 200 "))
    }

    @Test func commonLinesAreWhatReadersOfApacheLogsExpect() {
        let start = #"192.0.2.7 - - [21/Nov/2026:08:00:59 +0000] "GET /a/b?c=d HTTP/1.1" 200 10000"#
        #expect(Sample().text(.common) == start)
        #expect(
            Sample().text(.combined) == start + #" "https://example.org/" "curl/8.5.0""#)
        var empty = AccessLogResult()
        empty.cause = .clientAborted
        #expect(
            Sample.filled(with: []).text(.combined, empty)
                == #"192.0.2.7 - - [21/Nov/2026:08:00:59 +0000] "-" 000 - "-" "-""#)
    }

    @Test(arguments: [
        ("a\r\nb", #"a\u000d\u000ab"#, #"a\x0d\x0ab"#),
        ("say \"hi\"", #"say \"hi\""#, #"say \x22hi\x22"#),
        ("back\\slash", #"back\\slash"#, #"back\x5cslash"#),
        ("\u{1B}[31m", #"\u001b[31m"#, #"\x1b[31m"#),
        ("nul\0l", #"nul\u0000l"#, #"nul\x00l"#),
        ("del\u{7F}", #"del\u007f"#, #"del\x7f"#),
        ("line\u{2028}end", #"line\u2028end"#, #"line\xe2\x80\xa8end"#),
        ("turn\u{202E}ed", #"turn\u202eed"#, #"turn\xe2\x80\xaeed"#),
        ("c1\u{85}", #"c1\u0085"#, #"c1\xc2\x85"#),
        (
            "gr\u{FC}\u{DF}e \u{1F600}", "gr\u{FC}\u{DF}e \u{1F600}",
            #"gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80"#
        ),
    ])
    func hostileTextIsEscaped(text: String, json: String, quoted: String) throws {
        // Long enough for blocks of 16 bytes before and behind.
        for padding in ["", "0123456789abcdef-", "0123456789abcdef0123456789abcde"] {
            var sample = Sample()
            sample.agent = Array((padding + text + padding).utf8)
            let line = sample.text(.json)
            #expect(line.contains(#""user_agent":"\#(padding + json + padding)""#))
            let read = try #require(AccessLogJSON(Array(line.utf8)))
            #expect(read["user_agent"] == padding + text + padding)
            #expect(sample.text(.combined).hasSuffix(#""\#(padding + quoted + padding)""#))
        }
    }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0xAF], [0xE2, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80],
            [0xF0, 0x80, 0x80, 0x80], [0x80], [0xE2, 0x28, 0xA1],
        ] as [[UInt8]])
    func bytesThatAreNoTextAreShownAsNumbers(bytes: [UInt8]) throws {
        var sample = Sample()
        sample.referer = bytes
        let line = try #require(sample.line(.json).flatMap { AccessLogJSON($0) })
        let shown = bytes.map { byte in
            byte < 0x80
                ? String(UnicodeScalar(byte)) : #"\x"# + String(byte, radix: 16)
        }
        #expect(line["referer"] == shown.joined())
    }

    @Test(arguments: [AccessLogFormat.json, .common, .combined])
    func noBytesBreakALine(format: AccessLogFormat) throws {
        var generator = SeededGenerator(seed: 20_261_121)
        // Bytes that mean something in one of the forms come more often than others.
        let sharp: [UInt8] = Array("\"\\\r\n\t\0{}[],:/'".utf8) + [0x7F, 0x80, 0xC2, 0xE2, 0xA8]
        for _ in 0..<4_000 {
            let count = Int(generator.next() % 90)
            let bytes = (0..<count).map { _ -> UInt8 in
                let roll = generator.next()
                return roll % 4 == 0
                    ? sharp[Int(roll >> 32) % sharp.count] : UInt8(truncatingIfNeeded: roll >> 8)
            }
            let line = try #require(Sample.filled(with: bytes).line(format))
            #expect(line.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
            guard format == .json else {
                #expect(line.allSatisfy { $0 < 0x7F })
                let quotes = line.count { $0 == UInt8(ascii: "\"") }
                #expect(quotes == (format == .common ? 2 : 6))
                continue
            }
            let read = try #require(AccessLogJSON(line))
            #expect(read["termination"] == "--")
            #expect(read["status"] == "200")
        }
    }

    @Test(
        arguments: [
            AccessLogFormat.json, .common, .combined,
        ], [0x61, 0x00, 0x22, 0xFF] as [UInt8])
    func longestValuesKeepTheirLimits(format: AccessLogFormat, byte: UInt8) throws {
        var sample = Sample.filled(with: [UInt8](repeating: byte, count: 8_192))
        sample.peer = Array("2001:db8:1111:2222:3333:4444:5555:6666".utf8)
        var result = AccessLogResult.sample
        result.receivedByteCount = .max
        result.sentByteCount = .max
        result.sentHeadByteCount = 0
        result.idleMicroseconds = .max
        result.headMicroseconds = .max
        result.queueMicroseconds = .max
        result.connectMicroseconds = .max
        result.responseMicroseconds = .max
        let line = try #require(sample.line(format, result))
        #expect(line.count < AccessLogFormatter.lineByteCountMax)
        guard format == .json else { return }
        let read = try #require(AccessLogJSON(line))
        for (name, limit) in [
            ("method", AccessLogFormatter.methodByteCountMax),
            ("host", AccessLogFormatter.hostByteCountMax),
            ("target", AccessLogFormatter.targetByteCountMax),
            ("referer", AccessLogFormatter.refererByteCountMax),
            ("user_agent", AccessLogFormatter.userAgentByteCountMax),
        ] {
            let value = try #require(read[name])
            #expect(value.hasSuffix("..."))
            #expect(value.utf8.count <= limit + 3)
        }
    }

    @Test func anOpeningWithoutRoomIsNotBegun() {
        let sample = Sample.filled(with: [UInt8](repeating: 0x22, count: 100))
        let needed = sample.line(.json)?.count ?? 0
        #expect(needed > 1_000)
        for room in [1, 16, 100, 500, 900] { #expect(sample.line(.json, room: room) == nil) }
    }

    @Test func numbersOfEveryLengthAreRight() throws {
        var values: [UInt64] = [.max, .max - 1]
        var power: UInt64 = 1
        for _ in 0..<19 {
            values += [power - 1, power, power + 1, power &* 9]
            power *= 10
        }
        values += [power - 1, power, 99_999_999, 100_000_000, 1_0000_0000_0000_0007]
        var generator = SeededGenerator(seed: 7)
        for bits in 1...64 { values += (0..<40).map { _ in generator.next() >> UInt64(64 - bits) } }
        for value in values {
            var result = AccessLogResult.sample
            result.receivedByteCount = value
            let line = Sample().text(.json, result)
            #expect(line.contains("\"bytes_received\":\(value),"), "\(value)")
        }
    }

    @Test func everyCauseAndPhaseHasItsOwnLetter() {
        let causes = AccessLogCause.allCases.map(\.letter)
        let phases = AccessLogPhase.allCases.map(\.letter)
        #expect(Set(causes).count == causes.count)
        #expect(Set(phases).count == phases.count)
    }
}
