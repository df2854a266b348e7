// SPDX-License-Identifier: Apache-2.0
//
// Every vector of a request that must be refused is refused, for the right reason, however it
// arrives, and without a look beyond its last byte.

import HTTPCore
import Testing

@Test(arguments: refusedRequests)
func requestIsRefused(_ vector: RefusedRequest) {
    let bench = RequestBench()
    #expect(bench.verdict(vector.bytes) == .malformed(vector.fault))
}

@Test(arguments: refusedRequests)
func requestIsRefusedByteByByte(_ vector: RefusedRequest) {
    let bench = RequestBench()
    let pieces = Array(repeating: 1, count: vector.bytes.count)
    #expect(bench.verdict(vector.bytes, pieces: pieces) == .malformed(vector.fault))
}

@Test(arguments: refusedRequests)
func noPrefixOfARefusedRequestIsComplete(_ vector: RefusedRequest) {
    let bench = RequestBench()
    for count in 0..<vector.bytes.count {
        let verdict = bench.verdict(vector.bytes[..<count])
        #expect(verdict == .needMore || verdict == .malformed(vector.fault), "prefix \(count)")
    }
}

@Test(arguments: refusedRequests)
func refusedRequestSplitInTwoIsRefusedAlike(_ vector: RefusedRequest) {
    let bench = RequestBench()
    for count in 1..<vector.bytes.count {
        let verdict = bench.verdict(vector.bytes, pieces: [count])
        #expect(verdict == .malformed(vector.fault), "split at \(count)")
    }
}

@Test func thereAreMoreThanEightyFramingVectors() {
    #expect(transferEncodingVectors.count + contentLengthVectors.count + lineVectors.count >= 80)
    #expect(Set(refusedRequests.map { $0.rule + "\($0.bytes)" }).count == refusedRequests.count)
}

@Test func everyRequestFaultHasItsStatus() {
    let expected: [MessageFault: UInt16] = [
        .methodTooLong: 501, .unknownTransferCoding: 501, .targetTooLong: 414,
        .headTooLarge: 431, .tooManyFields: 431, .fieldNameTooLong: 431,
        .unsupportedVersion: 505, .unknownExpectation: 417, .bodyTooLarge: 413,
    ]
    for fault in MessageFault.allCases {
        #expect(fault.statusCode == expected[fault] ?? 400)
        #expect(LocalResponse(fault).rawValue == fault.statusCode)
    }
}

@Test func faultTokensAreDistinct() {
    let tokens = MessageFault.allCases.map { "\($0.token)" }
    #expect(Set(tokens).count == tokens.count)
    #expect(MessageFault.allCases.enumerated().allSatisfy { $0.offset == Int($0.element.rawValue) })
}
