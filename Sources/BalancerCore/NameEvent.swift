// SPDX-License-Identifier: Apache-2.0
//
// What a name table has to tell.

public import WireCore

/// Something that happened to a name.
public struct NameEvent: Hashable, Sendable {
    /// What happened.
    public enum Kind: Hashable, Sendable {
        /// The name stands for backends for the first time.
        case firstAnswer(count: Int)
        /// It stands for other backends than before.
        case changed(added: [UpstreamTarget], removed: [UpstreamTarget], count: Int)
        /// The first question without a good answer; so many backends are kept.
        case troubled(NameTrouble, keptCount: Int)
        /// The servers went on saying that there are no records: the name stands for nothing now.
        case emptied(NameTrouble)
        /// A good answer after so many questions without one.
        case recovered(failures: Int)
        /// It stands for more than the limit; so many backends are left out.
        case limited(leftOutCount: Int)
        /// There are too many names: this one is never asked for.
        case refused
    }

    /// The name.
    public var name: UpstreamName
    /// What happened to it.
    public var kind: Kind

    /// Makes an event.
    public init(_ name: UpstreamName, _ kind: Kind) {
        self.name = name
        self.kind = kind
    }

    /// True when the name stands for other backends than before.
    public var changesAnswers: Bool {
        switch kind {
        case .firstAnswer, .changed: true
        case .troubled, .emptied, .recovered, .limited, .refused: false
        }
    }
}

/// How one wanted name is.
public struct NameStatus: Hashable, Sendable {
    /// How far its answer can be trusted.
    public enum State: String, Hashable, Sendable {
        /// No question has ended yet.
        case unresolved
        /// The last question was answered well.
        case fresh
        /// The last question was not; the last good answer is kept.
        case stale
        /// No good answer is known.
        case missing
    }

    /// The name.
    public var name: UpstreamName
    /// How far its answer can be trusted.
    public var state: State
    /// What it stands for.
    public var targets: [UpstreamTarget]
    /// When its last good answer came; `nil` without one.
    public var answeredAt: Instant?
    /// When what it stands for last changed; `nil` before the first answer.
    public var changedAt: Instant?
    /// How long its last good answer was valid; `nil` without one.
    public var ttl: TimeSpan?
    /// When it is asked for next; `nil` while that is under way.
    public var dueAt: Instant?
    /// Questions in a row without a good answer.
    public var failures: Int
    /// What the last question brought instead; `nil` after a good answer.
    public var trouble: NameTrouble?
    /// Times that what it stands for changed, the first answer not counted.
    public var changeCount: UInt64
}
