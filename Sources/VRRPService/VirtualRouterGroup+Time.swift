// SPDX-License-Identifier: Apache-2.0
//
// What must happen before this node says on the pair link what it is.

internal import VRRPCore

extension VirtualRouterGroup {
    /// Lets every Active look at the clock; called before each periodic heartbeat.
    ///
    /// A node that was frozen wakes with all its timers due, and the heartbeat's may come before
    /// the advert's. It was replaced meanwhile: "I am Active" on the link would make its successor
    /// step down, for that is how a split is resolved, and then it would step down itself. So it
    /// notices first that it overslept, and gives the addresses up.
    public func noticeTime() {
        for speaker in speakers where speaker.state == .active { speaker.step() }
    }
}
