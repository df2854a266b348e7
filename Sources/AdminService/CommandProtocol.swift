// SPDX-License-Identifier: Apache-2.0
//
// One line in, text out: the form of HAProxy's runtime socket.

/// The runtime socket's protocol: one line of commands, an answer, the end.
///
/// A line that begins with `verdictMark` gets an answer that begins with one digit: 0 when all was
/// done, 1 when something was not. Our own command asks so; other clients read the words alone.
enum CommandProtocol {
    /// Start of heading: no command begins with it.
    static let verdictMark: UInt8 = 0x01

    static func answer(
        _ request: [UInt8], isEnd: Bool, registry: AdminRegistry
    ) -> AdminAnswer {
        let line: ArraySlice<UInt8>
        if let end = request.firstIndex(of: 0x0A) {
            line = request[..<end]
        } else if isEnd, !request.isEmpty {
            line = request[...]
        } else {
            return isEnd ? .close : .needMore
        }
        let wantsVerdict = line.first == verdictMark
        let text = String(decoding: wantsVerdict ? line.dropFirst() : line, as: UTF8.self)
        let reply = registry.run(line: text)
        let verdict = wantsVerdict ? (reply.isFailure ? "1" : "0") : ""
        return .reply(Array((verdict + reply.text + "\n").utf8))
    }
}
