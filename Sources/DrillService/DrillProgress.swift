// SPDX-License-Identifier: Apache-2.0
//
// What a drill tells people while it runs: one line that is rewritten on a terminal, one line a
// run elsewhere.

internal import LinuxIO
internal import WireCore

/// Hears how far a drill is.
protocol DrillProgress: AnyObject {
    /// A step of a run begins.
    func step(_ text: String, run: Int)
    /// A run is measured.
    func finished(_ result: RunResult, of runs: Int)
    /// Nothing more will come.
    func end()
}

/// Writes progress to standard error.
final class ConsoleProgress: DrillProgress {
    private static let barWidth = 24

    private let isTerminal: Bool
    private let runs: Int
    private var done = 0
    private var lastGap = ""

    init(runs: Int, isTerminal: Bool = DescriptorOutput.isTerminal(2)) {
        self.runs = runs
        self.isTerminal = isTerminal
    }

    func step(_ text: String, run: Int) {
        guard isTerminal else { return }
        let filled = Self.barWidth * done / max(runs, 1)
        let bar =
            String(repeating: "█", count: filled)
            + String(repeating: "░", count: Self.barWidth - filled)
        // CSI K: erase what a longer line left behind.
        DescriptorOutput.printError("\r\(bar) run \(run) of \(runs): \(text)\(lastGap)\u{1B}[K")
    }

    func finished(_ result: RunResult, of runs: Int) {
        done += 1
        let gap = result.outage.map { DurationText.milliseconds($0.gap) + " ms" } ?? "no resumption"
        lastGap = " · last gap \(gap)"
        guard !isTerminal else { return }
        DescriptorOutput.printError(
            "run \(result.number) of \(runs): gap \(gap), \(result.probes.failed) probes failed, "
                + "\(result.lostCount) of \(result.keepAlive.count) keep-alive clients lost\n")
    }

    func end() {
        if isTerminal { DescriptorOutput.printError("\r\u{1B}[K") }
    }
}

/// Tells nobody.
final class SilentProgress: DrillProgress {
    func step(_ text: String, run: Int) {}
    func finished(_ result: RunResult, of runs: Int) {}
    func end() {}
}
