// SPDX-License-Identifier: Apache-2.0
//
// Whether a tunnel of the dead node goes on. Bytes that it had taken from one side and not given to
// the other are lost with it, and nobody can tell them from bytes that never were, unless both
// sides say that there are none: what each has sent and received must be what was told last,
// exactly. A side that spoke in the outage says that it has sent a little more. If the dead node
// did not acknowledge that, it sends it again, from where it was told to be; else it never says so.
//
//     each side's answer               verdict
//     as told, both                    resume
//     as told, none, a little more     wait, and reset when no more answers come
//     anything else                    reset

/// What becomes of a tunnel.
public enum TunnelVerdict: Hashable, Sendable {
    /// Both connections go on where they were.
    case resume
    /// A side has not answered yet.
    case wait
    /// Both sides must hear a reset.
    case reset(AdoptionRefusal)
}

/// Judges tunnels.
public enum TunnelJudge {
    /// Bytes that a side may have sent in the outage: some segments.
    ///
    /// Who is in the middle of more has lost some for certain, and hears so at once.
    public static let repeatedByteCountMax: UInt32 = 16 * 1_024

    private enum Standing {
        /// Where it was told to be.
        case asTold
        /// It has not answered, or it answers again when it repeats what it sent.
        case open
        /// Bytes are lost.
        case elsewhere
    }

    /// The verdict after what the sides have answered so far.
    public static func judge(
        _ shadow: ConnectionShadow, client: ClientAnswer?, backend: ClientAnswer?
    ) -> TunnelVerdict {
        guard case .tunnelling = shadow.phase, let tunnel = shadow.tunnel else {
            return .reset(.busy)
        }
        if let refusal = AdoptionJudge.refusal(shadow) { return .reset(refusal) }
        // Nobody has looked at the connections since the peer did.
        if shadow.isMoved { return .resume }
        let sides = [
            standing(client, shadow.position), standing(backend, tunnel.position),
        ]
        guard !sides.contains(.elsewhere) else { return .reset(.busy) }
        return sides.contains(.open) ? .wait : .resume
    }

    /// The verdict when no more answers come.
    public static func judgeSilent(_ shadow: ConnectionShadow) -> TunnelVerdict {
        let verdict = judge(shadow, client: nil, backend: nil)
        return verdict == .wait ? .reset(.silent) : verdict
    }

    /// Whether nothing is lost on a side that was told to be at `position`; what comes from now on
    /// its new socket has.
    public static func isAsTold(_ answer: ClientAnswer?, at position: StreamPosition) -> Bool {
        standing(answer, position) == .asTold
    }

    private static func standing(
        _ answer: ClientAnswer?, _ position: StreamPosition
    ) -> Standing {
        guard let answer else { return .open }
        guard answer.received == position.send else { return .elsewhere }
        let more = answer.sent &- position.receive
        return more == 0 ? .asTold : more <= repeatedByteCountMax ? .open : .elsewhere
    }
}
