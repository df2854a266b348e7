// SPDX-License-Identifier: Apache-2.0
//
// Classic BPF programs for sockets (Documentation/networking/filter.rst): the kernel drops what
// does not fit before it is queued. Knows instructions, not protocols.

internal import CLinux

/// A program made of conditions that a packet must all meet to be queued.
public struct SocketFilter: Hashable, Sendable {
    /// A number inside a packet; a packet too short for it is dropped.
    public struct Field: Hashable, Sendable {
        /// Where the offset counts from.
        public enum Base: Hashable, Sendable {
            /// Where the socket's packets begin.
            case packet
            /// The network header, whatever the socket's packets begin with.
            case networkHeader
            /// The end of the IPv4 header at which the packet begins.
            case ipv4Payload
        }

        var offset: UInt32
        var byteCount: Int
        var base: Base

        /// One byte.
        public static func byte(_ offset: UInt32, from base: Base = .packet) -> Field {
            Field(offset: offset, byteCount: 1, base: base)
        }

        /// Two bytes in network order.
        public static func half(_ offset: UInt32, from base: Base = .packet) -> Field {
            Field(offset: offset, byteCount: 2, base: base)
        }

        /// Four bytes in network order.
        public static func word(_ offset: UInt32, from base: Base = .packet) -> Field {
            Field(offset: offset, byteCount: 4, base: base)
        }
    }

    /// Values per condition: a conditional jump spans at most 255 instructions.
    public static let valuesMax = 254
    /// What the kernel accepts (BPF_MAXINSNS).
    public static let instructionsMax = 4_096

    struct Instruction: Hashable, Sendable {
        var code: UInt16
        var jumpIfTrue: UInt8 = 0
        var jumpIfFalse: UInt8 = 0
        var value: UInt32
    }

    private var instructions: [Instruction] = []

    /// A program that lets everything pass.
    public init() {}

    /// A program that drops everything.
    public static var nothing: SocketFilter {
        var filter = SocketFilter()
        filter.instructions.append(drop)
        return filter
    }

    /// Only packets whose field has one of the values pass.
    public mutating func require(_ field: Field, isOneOf values: [UInt32]) {
        precondition(values.count <= Self.valuesMax, "too many values for one condition")
        load(field)
        for (index, value) in values.enumerated() {
            // Over the comparisons that are left and the drop behind them.
            instructions.append(Self.jump(ifEqual: value, over: values.count - index))
        }
        instructions.append(Self.drop)
    }

    /// Only packets whose field has none of the values pass.
    public mutating func require(_ field: Field, isNoneOf values: [UInt32]) {
        precondition(values.count <= Self.valuesMax, "too many values for one condition")
        guard !values.isEmpty else { return }
        load(field)
        for (index, value) in values.enumerated() {
            // To the drop, over the comparisons that are left and the jump around it.
            instructions.append(Self.jump(ifEqual: value, over: values.count - index))
        }
        instructions.append(Instruction(code: Self.code(BPF_JMP, BPF_JA), value: 1))
        instructions.append(Self.drop)
    }

    /// Only packets with one of the runs of words at `offset` pass, such as IPv6 addresses.
    public mutating func require(
        _ offset: UInt32, from base: Field.Base = .packet, isOneOf runs: [[UInt32]]
    ) {
        for (index, run) in runs.enumerated() {
            for (place, word) in run.enumerated() {
                load(.word(offset + 4 * UInt32(place), from: base))
                // To the next run: over the loads and comparisons left and the jump to the end.
                let step = base == .ipv4Payload ? 3 : 2
                let distance = (run.count - 1 - place) * step + 1
                instructions.append(
                    Instruction(
                        code: Self.code(BPF_JMP, BPF_JEQ), jumpIfFalse: UInt8(distance),
                        value: word))
            }
            let rest = runs[(index + 1)...].reduce(0) { sum, run in
                sum + run.count * (base == .ipv4Payload ? 3 : 2) + 1
            }
            instructions.append(
                Instruction(code: Self.code(BPF_JMP, BPF_JA), value: UInt32(rest) + 1))
        }
        instructions.append(Self.drop)
    }

    /// Puts the program on a socket, in the place of the one it had (SO_ATTACH_FILTER).
    ///
    /// Packets that the socket has queued already stay.
    public func attach(to socket: borrowing FileDescriptor) throws(Errno) {
        let number = socket.rawValue
        var program = instructions.map {
            sock_filter(code: $0.code, jt: $0.jumpIfTrue, jf: $0.jumpIfFalse, k: $0.value)
        }
        program.append(sock_filter(code: Self.code(BPF_RET, BPF_K), jt: 0, jf: 0, k: .max))
        precondition(program.count <= Self.instructionsMax, "the program is too long")
        var failure: Errno?
        program.withUnsafeMutableBufferPointer { buffer in
            var description = sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
            let size = socklen_t(MemoryLayout<sock_fprog>.size)
            do throws(Errno) {
                try SystemCall.retrying {
                    setsockopt(number, SOL_SOCKET, SO_ATTACH_FILTER, &description, size)
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private mutating func load(_ field: Field) {
        let size =
            switch field.byteCount {
            case 1: BPF_B
            case 2: BPF_H
            default: BPF_W
            }
        var offset = field.offset
        var mode = BPF_ABS
        switch field.base {
        case .packet: break
        case .networkHeader: offset &+= UInt32(bitPattern: TANDEM_SKF_NET_OFF)
        case .ipv4Payload:
            // X = 4 * (first byte & 15): the header's length.
            instructions.append(
                Instruction(code: Self.code(BPF_LDX, BPF_B, BPF_MSH), value: 0))
            mode = BPF_IND
        }
        instructions.append(Instruction(code: Self.code(BPF_LD, size, mode), value: offset))
    }

    private static func jump(ifEqual value: UInt32, over count: Int) -> Instruction {
        Instruction(
            code: code(BPF_JMP, BPF_JEQ), jumpIfTrue: UInt8(count), value: value)
    }

    private static var drop: Instruction {
        Instruction(code: code(BPF_RET, BPF_K), value: 0)
    }

    private static func code(_ parts: CInt...) -> UInt16 {
        UInt16(truncatingIfNeeded: parts.reduce(0, |))
    }
}

extension FileDescriptor {
    /// Packets that the kernel dropped because the socket's buffer was full (SO_MEMINFO).
    public var receiveDropCount: UInt64 {
        UInt64(tandem_receive_drops(rawValue))
    }
}
