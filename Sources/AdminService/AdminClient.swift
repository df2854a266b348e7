// SPDX-License-Identifier: Apache-2.0
//
// The other end of the runtime socket: asks a running node one question.

public import LinuxIO

/// Talks to a running node through its runtime socket.
public enum AdminClient {
    /// Longest answer taken.
    public static let answerByteCountMax = 16 << 20

    /// Sends one line and returns the whole answer, an empty line at its end.
    ///
    /// - Throws: what connect, write and read report; EFBIG when the answer is too long.
    public static func ask(_ line: String, socketPath: String) throws(Errno) -> AdminReply {
        let socket = try StreamSocket.connect(unixPath: socketPath)
        var rest = [CommandProtocol.verdictMark] + Array((line + "\n").utf8)
        while !rest.isEmpty {
            guard case .bytes(let count) = try StreamSocket.send(socket, rest) else {
                throw .wouldBlock
            }
            rest.removeFirst(count)
        }
        var answer: [UInt8] = []
        while let piece = try socket.read(upTo: 65_536), !piece.isEmpty {
            answer += piece
            if answer.count > answerByteCountMax { throw .tooLarge }
        }
        return AdminReply(
            String(decoding: answer.dropFirst(), as: UTF8.self),
            isFailure: answer.first != UInt8(ascii: "0"))
    }
}
