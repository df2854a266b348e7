// SPDX-License-Identifier: Apache-2.0
//
// The one executable: picks the command. Each command lives in a file of its own.

internal import DrillService
internal import LinuxIO

@main
struct Tandem {
    static let version = "0.1.0"

    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        SignalDescriptor.ignoreBrokenPipes()
        exit(with: run(words))
    }

    private static func run(_ words: [String]) -> ExitCode {
        guard let command = words.first else {
            DescriptorOutput.printError(Usage.text)
            return .usage
        }
        let rest = Array(words.dropFirst())
        // The drill has a text of its own; everything else fits into one.
        if command != "drill", Usage.commands.contains(command), Usage.asksForHelp(rest) {
            return print(Usage.text)
        }
        switch command {
        case "run": return RunCommand.run(rest)
        case "check": return CheckCommand.run(rest)
        case "status": return StatusCommand.run(rest)
        case "switchover": return SwitchoverCommand.run(rest)
        case "ctl": return ControlCommand.run(rest)
        case "drill": return ExitCode(Drill.main(rest))
        case "backend": return ExitCode(TestBackend.main(rest))
        case DescriptorOrderCommand.name: return DescriptorOrderCommand.run(rest)
        case "version", "--version": return print("tandem \(version)\n")
        case "help", "--help", "-h": return print(Usage.text)
        default:
            return Usage.complain(
                "there is no command \"\(command)\"", word: command, known: Usage.commands)
        }
    }

    private static func print(_ text: String) -> ExitCode {
        DescriptorOutput.print(text)
        return .done
    }

    private static func exit(with code: ExitCode) -> Never {
        ProcessLimits.exit(code: code.rawValue)
    }
}

/// How the process ends.
enum ExitCode: Int32 {
    /// Done.
    case done = 0
    /// The thing asked for failed or did not hold.
    case failed = 1
    /// The command line made no sense.
    case usage = 2

    /// The code of a command that reports a number.
    init(_ number: Int32) {
        self = ExitCode(rawValue: number) ?? .failed
    }
}
