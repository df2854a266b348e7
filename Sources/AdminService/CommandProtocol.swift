// SPDX-License-Identifier: Apache-2.0
//
// One line in, text out: the form of HAProxy's runtime socket.

/// The runtime socket's protocol: one line of commands, an answer, the end.
enum CommandProtocol {
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
        let text = String(decoding: line, as: UTF8.self)
        return .reply(Array((registry.run(line: text) + "\n").utf8))
    }
}
