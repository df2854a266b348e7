// SPDX-License-Identifier: Apache-2.0
//
// `tandem drill`: the process around a drill session and its reports.

internal import EventLoop
internal import LinuxIO
internal import WireCore

/// The failover timer.
public enum Drill {
    /// Runs `tandem drill` with the arguments after the command word.
    ///
    /// - Returns: the exit code.
    public static func main(_ arguments: [String]) -> CInt {
        let seed = RandomBytes.seed() >> 33
        switch DrillArguments.parse(arguments, seed: seed) {
        case .help:
            DescriptorOutput.print(DrillArguments.usage)
            return 0
        case .failure(let reason):
            DescriptorOutput.printError("tandem drill: \(reason)\n" + DrillArguments.usage)
            return 2
        case .compare(let first, let second):
            return compare([first, second])
        case .run(let options):
            return run(options)
        }
    }

    /// Runs a drill: measures, prints the report, writes the files.
    ///
    /// - Returns: 0 when traffic resumed within the bars in every run, otherwise 1.
    public static func run(_ options: DrillOptions) -> CInt {
        _ = ProcessLimits.raiseDescriptorLimit()
        SignalDescriptor.ignoreBrokenPipes()
        // A clock that waits for a busy core would report its own waiting as a gap. Commands that
        // the drill starts do not inherit the class.
        try? KernelThread.becomeRealTime(priority: 1)
        let report: DrillReport
        do throws(Errno) {
            report = try measure(options, progress: ConsoleProgress(runs: options.runs))
        } catch {
            DescriptorOutput.printError("tandem drill: \(error)\n")
            return 1
        }
        DescriptorOutput.print(TextReport.render(report))
        var isWritten = true
        for (path, render) in [
            (options.jsonPath, JSONReport.render), (options.htmlPath, HTMLReport.render),
        ] {
            guard let path else { continue }
            do throws(Errno) {
                try FileSystem.write(Array(render(report).utf8), path: path)
            } catch {
                DescriptorOutput.printError("tandem drill: cannot write \(path): \(error)\n")
                isWritten = false
            }
        }
        return report.holds && isWritten ? 0 : 1
    }

    private static func compare(_ paths: [String]) -> CInt {
        do throws(DrillComparison.Unreadable) {
            var reports: [(name: String, content: [UInt8])] = []
            for path in paths {
                reports.append((path, try read(path)))
            }
            DescriptorOutput.print(try DrillComparison(reports).render())
            return 0
        } catch {
            DescriptorOutput.printError("tandem drill: \(error.reason)\n")
            return 1
        }
    }

    private static func read(_ path: String) throws(DrillComparison.Unreadable) -> [UInt8] {
        do throws(Errno) {
            return try FileSystem.read(path: path, byteCountMax: JSONReader.byteCountMax)
        } catch {
            throw DrillComparison.Unreadable(reason: "cannot read \(path): \(error)")
        }
    }

    private static func measure(
        _ options: DrillOptions, progress: ConsoleProgress
    ) throws(Errno) -> DrillReport {
        let loop = try EventLoop()
        let session = DrillSession(options, on: loop, progress: progress)
        let signals = try SignalReader([.interrupt, .terminate], on: loop) { _ in
            session.interrupt()
        }
        var failure: String?
        do throws(DrillSession.Failure) {
            try session.run()
        } catch {
            failure = error.reason
        }
        progress.end()
        withExtendedLifetime(signals) {}
        return DrillReport(
            options: options, results: session.results, failure: failure,
            wallNanoseconds: Clock.wallNanoseconds())
    }
}
