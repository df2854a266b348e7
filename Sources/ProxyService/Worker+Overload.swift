// SPDX-License-Identifier: Apache-2.0
//
// What is refused so that memory stays bounded: requests while buffers are short, and bodies that
// are larger than allowed.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Synchronization
internal import Telemetry

extension Worker {
    // MARK: Buffers are short

    /// Refuses a request because of `limits.buffer_memory`; the client may try again.
    mutating func shed(_ client: ClientConnection.Pointer) {
        noteShed()
        noteCause(client, .exhausted)
        answer(client, .serviceUnavailable)
    }

    /// Refuses a request before its head is read, which would take another buffer.
    mutating func shedUnread(_ client: ClientConnection.Pointer) {
        noteShed()
        client.pointee.listener.pointee.count { $0.requests.add() }
        client.pointee.method = .get
        client.pointee.minorVersion = 1
        client.pointee.body = BodyDecoder(.none)
        client.pointee.keepsAlive = false
        answer(client, .serviceUnavailable)
    }

    private mutating func noteShed() {
        count { $0.limits.memory.add() }
        guard let suppressed = memoryLog.admit(now: now) else { return }
        setup.logger.warning(
            "requests refused, buffers are short",
            [
                "in_use": "\(buffers.attachedByteCount)",
                "limit": "\(limits.bufferByteCount / max(1, setup.workerCount))",
                "suppressed": "\(suppressed)",
            ])
    }

    /// Returns to the system what a shortage has left behind.
    mutating func giveMemoryBack() {
        buffers.trim()
        ProcessMemory.giveBack()
    }
}
