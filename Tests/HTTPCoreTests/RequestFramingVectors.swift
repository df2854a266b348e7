// SPDX-License-Identifier: Apache-2.0
//
// Requests whose framing is attacked: what must be refused, with which fault, by which sentence of
// which RFC. Ideas come from published payload families (CL.TE, TE.CL, TE.TE, CL.0, 0.CL, obs-fold,
// line-end and whitespace tricks); the bytes are our own.

import HTTPCore
import Testing

/// A request that must be refused.
struct RefusedRequest: CustomTestStringConvertible {
    /// The RFC section and what is wrong.
    let rule: String
    let bytes: [UInt8]
    let fault: MessageFault

    init(_ rule: String, _ text: String, _ fault: MessageFault) {
        self.rule = rule
        bytes = latin1(text)
        self.fault = fault
    }

    /// A POST with a valid request line and `Host`, these field lines and this body.
    init(_ rule: String, fields: String, body: String = "", _ fault: MessageFault) {
        self.init(
            rule, "POST /a HTTP/1.1\r\nHost: a.example\r\n" + fields + "\r\n" + body, fault)
    }

    var testDescription: String { rule }
}

/// The bytes of a text in which each character below U+0100 stands for one byte.
func latin1(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { scalar in
        guard let byte = UInt8(exactly: scalar.value) else { fatalError("not a byte: \(scalar)") }
        return byte
    }
}

let transferEncodingVectors: [RefusedRequest] = [
    .init(
        "9112 §6.1: TE and CL", fields: "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        body: "0\r\n\r\nX", .transferEncodingWithContentLength),
    .init(
        "9112 §6.1: CL behind TE", fields: "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        body: "0\r\n\r\nX", .transferEncodingWithContentLength),
    .init(
        "9112 §6.1: TE and CL of zero",
        fields: "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        .transferEncodingWithContentLength),
    .init(
        "9112 §6.1: TE identity and CL",
        fields: "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        .transferEncodingWithContentLength),
    .init(
        "9112 §6.1: invalid TE and CL", fields: "Content-Length: 5\r\nTransfer-Encoding: x y\r\n",
        .transferEncodingWithContentLength),
    .init(
        "9112 §6.3: TE not ending in chunked", fields: "Transfer-Encoding: chunked, gzip\r\n",
        .invalidTransferEncoding),
    .init(
        "9112 §6.3: TE gzip alone", fields: "Transfer-Encoding: gzip\r\n",
        .invalidTransferEncoding),
    .init(
        "9112 §6.3: TE identity alone", fields: "Transfer-Encoding: identity\r\n",
        .invalidTransferEncoding),
    .init(
        "9112 §6.3: chunked then identity", fields: "Transfer-Encoding: chunked, identity\r\n",
        .invalidTransferEncoding),
    .init(
        "9112 §7.1: chunked twice", fields: "Transfer-Encoding: chunked, chunked\r\n",
        .invalidTransferEncoding),
    .init(
        "9112 §7.1: chunked on two lines",
        fields: "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        .invalidTransferEncoding),
    .init(
        "9112 §6.3: chunked, then another coding on a second line",
        fields: "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
        .invalidTransferEncoding),
    .init(
        "9112 §6.1: a known coding we lack before chunked",
        fields: "Transfer-Encoding: gzip, chunked\r\n", .unknownTransferCoding),
    .init(
        "9112 §6.1: an unknown coding, chunked on a second line",
        fields: "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n",
        .unknownTransferCoding),
    .init(
        "9112 §6.1: identity then chunked", fields: "Transfer-Encoding: identity, chunked\r\n",
        .unknownTransferCoding),
    .init(
        "9112 §7.1: chunked takes no parameters", fields: "Transfer-Encoding: chunked;q=1\r\n",
        .invalidTransferEncoding),
    .init("9112 §6.1: empty TE", fields: "Transfer-Encoding:\r\n", .invalidTransferEncoding),
    .init(
        "9110 §5.6.1: empty element after chunked", fields: "Transfer-Encoding: chunked,\r\n",
        .invalidTransferEncoding),
    .init(
        "9110 §5.6.1: empty element before chunked", fields: "Transfer-Encoding: , chunked\r\n",
        .invalidTransferEncoding),
    .init(
        "9110 §5.6.2: quoted chunked", fields: "Transfer-Encoding: \"chunked\"\r\n",
        .invalidTransferEncoding),
    .init(
        "TE.TE: xchunked", fields: "Transfer-Encoding: xchunked\r\n", .invalidTransferEncoding),
    .init(
        "TE.TE: chunkedx", fields: "Transfer-Encoding: chunkedx\r\n", .invalidTransferEncoding),
    .init(
        "TE.TE: chunked and a word", fields: "Transfer-Encoding: chunked foo\r\n",
        .invalidTransferEncoding),
    .init(
        "TE.TE: a colon before chunked", fields: "Transfer-Encoding: :chunked\r\n",
        .invalidTransferEncoding),
    .init(
        "TE.TE: vertical tab before chunked", fields: "Transfer-Encoding: \u{0B}chunked\r\n",
        .invalidFieldValue),
    .init(
        "TE.TE: form feed after chunked", fields: "Transfer-Encoding: chunked\u{0C}\r\n",
        .invalidFieldValue),
    .init(
        "TE.TE: NUL after chunked", fields: "Transfer-Encoding: chunked\0\r\n",
        .invalidFieldValue),
    .init(
        "TE.TE: no-break space before chunked", fields: "Transfer-Encoding: \u{A0}chunked\r\n",
        .invalidTransferEncoding),
    .init(
        "TE.TE: byte 0xFF after chunked", fields: "Transfer-Encoding: chunked\u{FF}\r\n",
        .invalidTransferEncoding),
    .init(
        "TE.TE: letters that fold to chunked in Unicode only",
        fields: "Transfer-Encoding: chun\u{E2}\u{84}\u{AA}ed\r\n", .invalidTransferEncoding),
    .init(
        "9112 §5.1: space before the colon of TE", fields: "Transfer-Encoding : chunked\r\n",
        .spaceBeforeColon),
    .init(
        "9112 §5.1: tab before the colon of TE", fields: "Transfer-Encoding\t: chunked\r\n",
        .spaceBeforeColon),
    .init(
        "9112 §5.2: TE folded", fields: "Transfer-Encoding:\r\n chunked\r\n", .obsoleteFolding),
    .init(
        "9112 §5.2: TE folded by a tab", fields: "Transfer-Encoding:\r\n\tchunked\r\n",
        .obsoleteFolding),
    .init(
        "9112 §5.2: TE hidden as a fold of another field",
        fields: "X: y\r\n Transfer-Encoding: chunked\r\n", .obsoleteFolding),
    .init(
        "9112 §2.2: TE behind a bare LF", fields: "X: y\nTransfer-Encoding: chunked\r\n",
        .bareLineFeed),
    .init(
        "9112 §2.2: TE behind a bare CR", fields: "X: y\rTransfer-Encoding: chunked\r\n",
        .bareCarriageReturn),
    .init(
        "9110 §5.1: NUL in the name of TE", fields: "Transfer\0-Encoding: chunked\r\n",
        .invalidFieldName),
    .init(
        "underscore for dash in TE", fields: "Transfer_Encoding: chunked\r\n",
        .underscoreInFieldName),
    .init(
        "9112 §6.1: TE in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        .transferEncodingInHTTP10),
    .init(
        "9112 §6.1: TE in HTTP/1.0 with keep-alive",
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        .transferEncodingInHTTP10),
]

let contentLengthVectors: [RefusedRequest] = [
    .init(
        "9112 §6.3: two different CLs", fields: "Content-Length: 5\r\nContent-Length: 6\r\n",
        .repeatedContentLength),
    .init(
        "9112 §6.3: two equal CLs", fields: "Content-Length: 5\r\nContent-Length: 5\r\n",
        .repeatedContentLength),
    .init(
        "9112 §6.3: CL and content-length", fields: "Content-Length: 5\r\ncontent-length: 0\r\n",
        .repeatedContentLength),
    .init(
        "9110 §8.6: a list of equal lengths", fields: "Content-Length: 5, 5\r\n",
        .invalidContentLength),
    .init(
        "9110 §8.6: a list of lengths", fields: "Content-Length: 5,6\r\n", .invalidContentLength),
    .init("9110 §8.6: plus sign", fields: "Content-Length: +5\r\n", .invalidContentLength),
    .init("9110 §8.6: minus sign", fields: "Content-Length: -5\r\n", .invalidContentLength),
    .init("9110 §8.6: minus zero", fields: "Content-Length: -0\r\n", .invalidContentLength),
    .init("9110 §8.6: empty", fields: "Content-Length:\r\n", .invalidContentLength),
    .init("9110 §8.6: blanks only", fields: "Content-Length: \t \r\n", .invalidContentLength),
    .init("9110 §8.6: hexadecimal", fields: "Content-Length: 0x5\r\n", .invalidContentLength),
    .init("9110 §8.6: a hex digit", fields: "Content-Length: a\r\n", .invalidContentLength),
    .init("9110 §8.6: a fraction", fields: "Content-Length: 5.0\r\n", .invalidContentLength),
    .init("9110 §8.6: an exponent", fields: "Content-Length: 1e1\r\n", .invalidContentLength),
    .init(
        "9110 §8.6: digits apart", fields: "Content-Length: 1 0\r\n", .invalidContentLength),
    .init("9110 §8.6: underscore", fields: "Content-Length: 1_0\r\n", .invalidContentLength),
    .init("9110 §8.6: quoted", fields: "Content-Length: \"5\"\r\n", .invalidContentLength),
    .init("9110 §8.6: semicolon", fields: "Content-Length: 5;\r\n", .invalidContentLength),
    .init(
        "9110 §8.6: above 64 bits", fields: "Content-Length: 18446744073709551621\r\n",
        .invalidContentLength),
    .init(
        "9110 §8.6: above the bound", fields: "Content-Length: 9223372036854775807\r\n",
        .invalidContentLength),
    .init(
        "9110 §8.6: very many digits",
        fields: "Content-Length: " + String(repeating: "0", count: 40) + "5\r\n",
        .invalidContentLength),
    .init(
        "9110 §8.6: digits of another script", fields: "Content-Length: \u{D9}\u{A5}\r\n",
        .invalidContentLength),
    .init("9112 §5.1: space before colon", fields: "Content-Length : 5\r\n", .spaceBeforeColon),
    .init("9112 §5.2: folded", fields: "Content-Length:\r\n 5\r\n", .obsoleteFolding),
    .init("9112 §5.2: folded digits", fields: "Content-Length: 5\r\n 6\r\n", .obsoleteFolding),
    .init("NUL behind the number", fields: "Content-Length: 5\0\r\n", .invalidFieldValue),
    .init("vertical tab before", fields: "Content-Length: \u{0B}5\r\n", .invalidFieldValue),
    .init("underscore for dash", fields: "Content_Length: 5\r\n", .underscoreInFieldName),
    .init("two spaces in the name", fields: "Content Length: 5\r\n", .spaceBeforeColon),
]

let lineVectors: [RefusedRequest] = [
    .init(
        "9112 §2.2: LF line ends", "GET / HTTP/1.1\nHost: a.example\n\n", .bareLineFeed),
    .init(
        "9112 §2.2: LF behind the request line", "GET / HTTP/1.1\nHost: a.example\r\n\r\n",
        .bareLineFeed),
    .init("9112 §2.2: LF behind a field", fields: "A: b\n", .bareLineFeed),
    .init(
        "9112 §2.2: LF as the last line", "GET / HTTP/1.1\r\nHost: a.example\r\n\n", .bareLineFeed),
    .init("9112 §2.2: LF before the request line", "\nGET / HTTP/1.1\r\n\r\n", .bareLineFeed),
    .init("9112 §2.2: LF within the target", "GET /\nHTTP/1.1\r\n\r\n", .bareLineFeed),
    .init("9112 §2.2: LF within the version", "GET / HTTP\n/1.1\r\n\r\n", .bareLineFeed),
    .init("9112 §2.2: bare CR in a value", fields: "A: b\rc\r\n", .bareCarriageReturn),
    .init("9112 §2.2: CR CR LF", fields: "A: b\r\r\n", .bareCarriageReturn),
    .init(
        "9112 §2.2: CR CR LF behind the request line",
        "GET / HTTP/1.1\r\r\nHost: a.example\r\n\r\n", .bareCarriageReturn),
    .init(
        "9112 §2.2: CR as the empty line", "GET / HTTP/1.1\r\nHost: a.example\r\n\rX",
        .bareCarriageReturn),
    .init("9112 §2.2: CR before the request line", "\rGET / HTTP/1.1\r\n\r\n", .bareCarriageReturn),
    .init(
        "9112 §2.2: whitespace before the first field",
        "GET / HTTP/1.1\r\n Host: a.example\r\n\r\n", .leadingWhitespace),
    .init(
        "9112 §2.2: a blank line of spaces before the first field",
        "GET / HTTP/1.1\r\n \r\nHost: a.example\r\n\r\n", .leadingWhitespace),
    .init("9112 §5.2: fold", fields: "A: b\r\n c\r\n", .obsoleteFolding),
    .init("9112 §5.2: fold of nothing", fields: "A: b\r\n \r\n", .obsoleteFolding),
    .init("9112 §5.1: space before colon", fields: "A : b\r\n", .spaceBeforeColon),
    .init("9110 §5.1: no colon", fields: "Abc\r\n", .invalidFieldName),
    .init("9110 §5.1: no name", fields: ": b\r\n", .invalidFieldName),
    .init("9110 §5.1: brackets in a name", fields: "A[0]: b\r\n", .invalidFieldName),
    .init("9110 §5.1: quote in a name", fields: "A\"b: c\r\n", .invalidFieldName),
    .init("9110 §5.1: slash in a name", fields: "A/b: c\r\n", .invalidFieldName),
    .init("9110 §5.1: high byte in a name", fields: "A\u{E4}: b\r\n", .invalidFieldName),
    .init(
        "9110 §5.1: high byte in a long name", fields: "Abcdefghij\u{80}: b\r\n", .invalidFieldName),
    .init("9110 §5.1: control byte in a name", fields: "A\u{01}: b\r\n", .invalidFieldName),
    .init("9110 §5.1: DEL in a name", fields: "A\u{7F}: b\r\n", .invalidFieldName),
    .init("9110 §5.1: CR in a name", fields: "A\rB: c\r\n", .invalidFieldName),
    .init("9110 §5.1: space within a name", fields: "A b: c\r\n", .spaceBeforeColon),
    .init("underscore in a name", fields: "X_Real_IP: 127.0.0.1\r\n", .underscoreInFieldName),
    .init("underscore in a short name", fields: "a_b: c\r\n", .underscoreInFieldName),
    .init(
        "underscore at the end of a long name", fields: "x-abcdefghijk_: c\r\n",
        .underscoreInFieldName),
    .init("9110 §5.5: NUL in a value", fields: "A: b\0c\r\n", .invalidFieldValue),
    .init("9110 §5.5: control byte in a value", fields: "A: b\u{1B}[0m\r\n", .invalidFieldValue),
    .init("9110 §5.5: DEL in a value", fields: "A: b\u{7F}\r\n", .invalidFieldValue),
    .init(
        "9110 §5.5: NUL far into a value",
        fields: "A: " + String(repeating: "x", count: 77) + "\0\r\n", .invalidFieldValue),
]
