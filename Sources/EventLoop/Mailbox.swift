// SPDX-License-Identifier: Apache-2.0
//
// The only way into a loop from another thread: a bounded queue and a wake-up.

public import LinuxIO
internal import Synchronization

/// A bounded queue that any thread may fill and one loop empties.
public final class Mailbox<Message: Sendable>: Sendable {
    private struct State {
        var messages: [Message] = []
        var droppedCount: UInt64 = 0
    }

    /// Messages that may wait; further ones are refused and counted.
    public let capacity: Int
    /// Readable while messages wait.
    public let wakeUp: WakeUp
    private let state = Mutex(State())

    /// Makes an empty mailbox.
    ///
    /// - Throws: EMFILE and the like when no descriptor can be had.
    public init(capacity: Int = 4_096) throws(Errno) {
        self.capacity = capacity
        wakeUp = try WakeUp()
    }

    /// Adds a message and wakes the reader.
    ///
    /// - Returns: false when the mailbox is full and the message was dropped.
    @discardableResult
    public func post(_ message: Message) -> Bool {
        let (isAccepted, mustWake) = state.withLock { state -> (Bool, Bool) in
            guard state.messages.count < capacity else {
                state.droppedCount &+= 1
                return (false, false)
            }
            state.messages.append(message)
            return (true, state.messages.count == 1)
        }
        if mustWake { wakeUp.signal() }
        return isAccepted
    }

    /// Takes all waiting messages; only the reading thread calls this.
    public func drain() -> [Message] {
        wakeUp.acknowledge()
        return state.withLock { state in
            defer { state.messages = [] }
            return state.messages
        }
    }

    /// Messages refused because the mailbox was full.
    public var droppedCount: UInt64 {
        state.withLock { $0.droppedCount }
    }
}
