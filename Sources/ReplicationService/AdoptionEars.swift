// SPDX-License-Identifier: Apache-2.0
//
// Overhears what the other ends of connections say to some addresses, for as long as a campaign
// lasts.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

/// The packet sockets of one campaign.
final class AdoptionEars: EventHandler {
    /// Segments read before the loop gets its turn.
    static let segmentsPerTurnMax = 512

    private final class Ear {
        let listener: SegmentListener
        var source: EventSource?

        init(_ listener: consuming SegmentListener) {
            self.listener = listener
        }
    }

    private let loop: EventLoop
    private var ears: [Ear] = []
    private var buffer = [UInt8](repeating: 0, count: OverheardSegment.byteCountMax)
    /// Called when there is something to hear.
    var onReadable: () -> Void = {}

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    /// Begins to listen.
    func open(to addresses: Set<IPAddress>, logger: Logger) {
        for family in [AddressFamily.ipv4, .ipv6] {
            let own = addresses.filter { $0.family == family }
            guard !own.isEmpty else { continue }
            do throws(Errno) {
                let ear = Ear(try SegmentListener(family, to: Array(own)))
                ear.source = try loop.add(ear.listener.descriptor, .readable, handler: self)
                ears.append(ear)
            } catch {
                logger.warning(
                    "clients' answers cannot be heard: idle connections go on unasked",
                    ["error": error.description])
            }
        }
    }

    func handle(_ events: EpollEvents, from source: EventSource) { onReadable() }

    /// Tells what was heard, as much as is good for a turn of the loop.
    func overhear(_ body: (OverheardSegment) -> Void) {
        for ear in ears {
            for _ in 0..<Self.segmentsPerTurnMax {
                guard let segment = receive(from: ear) else { break }
                body(segment)
            }
        }
    }

    /// - Returns: `nil` when nothing waits; a packet that is no segment is skipped.
    private func receive(from ear: Ear) -> OverheardSegment? {
        while true {
            let outcome = try? buffer.withUnsafeMutableBytes { bytes in
                try ear.listener.receive(into: bytes)
            }
            guard case .bytes(let count) = outcome else { return nil }
            let byteCount = min(count, buffer.count)
            if let heard = OverheardSegment(buffer.span.bytes.extracting(0..<byteCount)) {
                return heard
            }
        }
    }

    /// Listens no more.
    func close() {
        for ear in ears {
            if let source = ear.source.take() {
                loop.remove(source, of: ear.listener.descriptor)
            }
        }
        ears = []
    }
}
