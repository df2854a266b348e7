// SPDX-License-Identifier: Apache-2.0
//
// Frames of one packet socket on a loop: filtered in the kernel, taken at a bounded rate. Knows no
// protocol.

internal import EventLoop
internal import LinuxIO
internal import WireCore

/// Hears frames of one EtherType on one interface and sends others.
final class FrameReader {
    /// Frames taken per second; above it the kernel's small queue overflows and nobody is harmed.
    static let framesPerSecond: UInt64 = 1_000
    /// Frames that may come at once.
    static let burstCount: UInt64 = 200
    /// Frames taken per wake-up.
    static let framesPerWakeUpMax = 32
    /// How long wake-ups are put off when frames come faster.
    static let pauseDuration = TimeSpan.milliseconds(20)
    /// Bytes that may wait: some 80 small frames.
    static let receiveByteCountMax = 32_768
    /// Longer than any ARP packet or neighbour message that an Ethernet frame can carry.
    static let frameByteCountMax = 1_600

    /// Called with each frame.
    var onFrame: (([UInt8]) -> Void)?

    private let loop: EventLoop
    private let socket: PacketSocket
    private let interfaceIndex: Int
    private var source: EventSource?
    private var pacer = PacketPacer(packetsPerSecond: framesPerSecond, burstCount: burstCount)
    private var pauseTimer: TimerID?

    /// Opens the socket, deaf until `listen`.
    init(interfaceIndex: Int, etherType: UInt16, loop: EventLoop) throws(Errno) {
        self.loop = loop
        self.interfaceIndex = interfaceIndex
        socket = try PacketSocket(
            interfaceIndex: interfaceIndex, etherType: etherType, filter: .nothing,
            receiveByteCountMax: Self.receiveByteCountMax)
    }

    /// Hears what `filter` lets pass, `nil` for nothing more; false when the kernel refuses.
    @discardableResult
    func listen(_ filter: SocketFilter?) -> Bool {
        do throws(Errno) {
            try socket.setFilter(filter ?? .nothing)
            if filter == nil {
                stop()
            } else if source == nil {
                // What waited since another filter is nobody's business.
                while read() != nil {}
                source = try loop.add(socket.descriptor, .readable, handler: self)
            }
            return true
        } catch {
            return false
        }
    }

    /// Makes the interface take frames for a group address while this reader lives.
    func join(hardwareGroup: [UInt8]) {
        // Where it fails the interface may take them all the same.
        try? socket.join(interfaceIndex, hardwareGroup: hardwareGroup)
    }

    /// Sends a frame; false when the network did not take it.
    @discardableResult
    func send(_ frame: [UInt8]) -> Bool {
        if case .bytes = try? socket.send(frame) { return true }
        return false
    }

    /// Takes the socket off its loop; `listen` puts it back.
    func stop() {
        if let pauseTimer { loop.cancel(pauseTimer) }
        pauseTimer = nil
        if let source { loop.remove(source, of: socket.descriptor) }
        source = nil
    }

    private func read() -> [UInt8]? {
        var hasFrame = false
        let frame = [UInt8](unsafeUninitializedCapacity: Self.frameByteCountMax) { buffer, count in
            // A pending error of the socket (the interface went down) is taken by this call.
            if case .bytes(let got) = try? socket.receive(
                into: UnsafeMutableRawBufferPointer(buffer))
            {
                count = got
                hasFrame = true
            }
        }
        return hasFrame ? frame : nil
    }

    private func pause() {
        guard let source else { return }
        // It is registered, so this cannot fail for an outside reason.
        try? loop.modify(source, of: socket.descriptor, [])
        pauseTimer = loop.schedule(at: Clock.now() + Self.pauseDuration) { [weak self] in
            guard let self else { return }
            pauseTimer = nil
            if let source = self.source {
                try? loop.modify(source, of: socket.descriptor, .readable)
            }
        }
    }
}

extension FrameReader: EventHandler {
    /// Takes what waits, a bounded number of frames.
    func handle(_ events: EpollEvents, from source: EventSource) {
        for _ in 0..<Self.framesPerWakeUpMax {
            guard let frame = read() else { return }
            onFrame?(frame)
            guard self.source == source else { return }
            if !pacer.admit(now: Clock.now()) {
                pause()
                return
            }
        }
    }
}
