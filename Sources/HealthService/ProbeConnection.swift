// SPDX-License-Identifier: Apache-2.0
//
// A connected socket and what is said over it: in use by a probe, or kept for the next one.

import EventLoop
import LinuxIO

/// One connection of a check, used by one probe at a time.
final class ProbeConnection {
    /// Probes made over one connection: so a backend that no longer accepts is found.
    static let probesMax = 10
    /// Bytes read between two probes before the connection is given up.
    private static let idleByteCountMax = 65_536

    let descriptor: FileDescriptor
    let dialogue: any ProbeDialogue
    /// Probes begun on it.
    private(set) var probeCount = 0
    private var source: EventSource?
    private var interest: EpollInterest = []

    init(_ descriptor: consuming FileDescriptor, _ dialogue: any ProbeDialogue) {
        self.descriptor = descriptor
        self.dialogue = dialogue
    }

    /// The bytes of the next question.
    func ask(mayBeKept: Bool) -> [UInt8] {
        probeCount += 1
        return dialogue.ask(isLast: !mayBeKept || probeCount >= Self.probesMax)
    }

    /// Watches the socket, or watches it for something else.
    func watch(
        _ wanted: EpollInterest, on loop: EventLoop, handler: any EventHandler
    ) throws(Errno) {
        guard let source else {
            self.source = try loop.add(descriptor, wanted, handler: handler)
            interest = wanted
            return
        }
        guard wanted != interest else { return }
        try loop.modify(source, of: descriptor, wanted)
        interest = wanted
    }

    /// Ends watching, which must come before the last reference goes.
    func unwatch(on loop: EventLoop) {
        guard let source else { return }
        loop.remove(source, of: descriptor)
        self.source = nil
    }

    /// True when another probe may use it after this one.
    var isWorthKeeping: Bool {
        probeCount < Self.probesMax && dialogue.isWorthKeeping
    }

    /// Takes in what came since the last probe; true when the connection may carry another one.
    func isReady() -> Bool {
        var room = Self.idleByteCountMax
        do throws(Errno) {
            while let bytes = try descriptor.read(upTo: min(room, 16_384)) {
                guard !bytes.isEmpty, dialogue.receiveWhileIdle(bytes) else { return false }
                room -= bytes.count
                guard room > 0 else { return false }
            }
        } catch {
            return false
        }
        return dialogue.takesAnotherQuestion
    }
}
