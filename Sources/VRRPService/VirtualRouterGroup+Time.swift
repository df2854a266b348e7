// SPDX-License-Identifier: Apache-2.0
//
// What must happen before this node says on the pair link what it is, and after it did not run.

internal import EventLoop
internal import LinuxIO
internal import VRRPCore
public import WireCore

extension VirtualRouterGroup {
    /// Lets every Active look at the clock; called before each periodic heartbeat.
    ///
    /// A node that was frozen wakes with all its timers due, and the heartbeat's may come before
    /// the advert's. It may have been replaced meanwhile: "I am Active" on the link would make its
    /// successor step down, for that is how a split is resolved, and then it would do so itself.
    /// So it notices first that it overslept, and asks or gives the addresses up.
    ///
    /// - Returns: whether every router of this node knows what it is.
    @discardableResult
    public func noticeTime() -> Bool {
        for speaker in speakers where speaker.state == .active { speaker.step() }
        return !speakers.contains(where: \.isDoubtful)
    }

    /// The node did not run for `lateness`: silence of that time means less.
    public func ranLate(by lateness: TimeSpan) {
        oldWordsEnd = Clock.now() + Self.oldWordsSpan
        for speaker in speakers { speaker.ranLate(by: lateness) }
    }

    /// One question for all routers, which must all have looked at the clock.
    func askSoon() {
        guard !isQuestionWaiting else { return }
        isQuestionWaiting = true
        loop.schedule(after: .zero) { [weak self] in
            self?.noticeTime()
            self?.isQuestionWaiting = false
            self?.onQuestion?()
        }
    }
}
