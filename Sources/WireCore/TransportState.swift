// SPDX-License-Identifier: Apache-2.0
//
// What two ends of a TCP connection agreed on, and where in its two streams one end is: enough to
// go on with the connection on another host.

/// One end of an established TCP connection.
public struct TransportState: Hashable, Sendable {
    /// Options both ends agreed on when the connection began (RFC 9293 §3.2, RFC 7323, RFC 2018).
    public struct Options: OptionSet, Hashable, Sendable {
        /// The bits as they cross the wire.
        public let rawValue: UInt8

        /// Takes bits; unknown ones are kept and mean nothing.
        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// Windows are scaled (RFC 7323 §2).
        public static let windowScale = Options(rawValue: 1)
        /// Segments carry time stamps (RFC 7323 §3).
        public static let timestamps = Options(rawValue: 2)
        /// Gaps are told (RFC 2018).
        public static let selectiveAcknowledgement = Options(rawValue: 4)
    }

    /// Sequence number of the next byte that this end gives to the connection.
    ///
    /// Everything before it was handed to the kernel, and counts wrap around.
    public var sendSequence: UInt32
    /// Sequence number of the next byte that this end's program reads.
    public var receiveSequence: UInt32
    /// Bytes that the other end takes at the moment, after scaling.
    public var sendWindow: UInt32
    /// Bytes that the other end was told it may send, after scaling.
    public var receiveWindow: UInt32
    /// What this end puts into its time stamps at the moment, in milliseconds; it wraps around.
    ///
    /// Without the option it means nothing.
    public var timestamp: UInt32
    /// The longest segment that may be sent (RFC 9293 §3.7.1).
    public var segmentByteCountMax: UInt16
    /// Shift of the windows that the other end announces, 0...14.
    public var sendWindowScale: UInt8
    /// Shift of the windows that this end announces, 0...14.
    public var receiveWindowScale: UInt8
    /// What was agreed on.
    public var options: Options

    /// The largest shift of a window (RFC 7323 §2.3).
    public static let windowScaleMax: UInt8 = 14

    /// Names everything.
    public init(
        sendSequence: UInt32, receiveSequence: UInt32, sendWindow: UInt32, receiveWindow: UInt32,
        timestamp: UInt32, segmentByteCountMax: UInt16, sendWindowScale: UInt8,
        receiveWindowScale: UInt8, options: Options
    ) {
        self.sendSequence = sendSequence
        self.receiveSequence = receiveSequence
        self.sendWindow = sendWindow
        self.receiveWindow = receiveWindow
        self.timestamp = timestamp
        self.segmentByteCountMax = segmentByteCountMax
        self.sendWindowScale = sendWindowScale
        self.receiveWindowScale = receiveWindowScale
        self.options = options
    }
}
