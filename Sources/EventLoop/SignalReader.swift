// SPDX-License-Identifier: Apache-2.0
//
// Signals as calls on a loop.

public import LinuxIO

/// Hands signals to a closure on a loop's thread.
public final class SignalReader: EventHandler {
    private let signals: SignalDescriptor
    private let body: (Signal) -> Void

    /// Blocks the signals for the whole process and reads them on `loop`.
    ///
    /// Call before other threads are started, so that they inherit the block.
    public init(
        _ wanted: [Signal], on loop: EventLoop, _ body: @escaping (Signal) -> Void
    ) throws(Errno) {
        signals = try SignalDescriptor(wanted)
        self.body = body
        _ = try loop.add(signals.descriptor, .readable, handler: self)
    }

    /// Takes every pending signal.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        while let signal = signals.next() { body(signal) }
    }
}
