// SPDX-License-Identifier: Apache-2.0
//
// Whether a tunnel of the dead node goes on. Bytes that it had taken from one side and not given to
// the other are lost with it, and nobody can tell them from bytes that never were, unless both
// sides say that there are none: what each has sent and received must be what was told last,
// exactly.
//
//     client's answer    backend's answer    verdict
//     as told            as told             resume
//     as told, none      none, as told       wait, and reset when no more answers come
//     anything else                          reset

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
        if let client, !fits(client, shadow.position) { return .reset(.busy) }
        if let backend, !fits(backend, tunnel.position) { return .reset(.busy) }
        return client == nil || backend == nil ? .wait : .resume
    }

    /// The verdict when no more answers come.
    public static func judgeSilent(_ shadow: ConnectionShadow) -> TunnelVerdict {
        let verdict = judge(shadow, client: nil, backend: nil)
        return verdict == .wait ? .reset(.silent) : verdict
    }

    private static func fits(_ answer: ClientAnswer, _ position: StreamPosition) -> Bool {
        answer.sent == position.receive && answer.received == position.send
    }
}
