// SPDX-License-Identifier: Apache-2.0
//
// The start-up self-test of the order in which the kernel closes descriptors, and its child, which
// is this executable under a command that normal help does not show.

internal import LinuxIO
internal import Telemetry
internal import VRRPService

enum DescriptorOrderCommand {
    static let name = "descriptor-order-child"

    /// The child: `descriptor-order-child PORT`.
    static func run(_ words: [String]) -> ExitCode {
        guard let port = words.first.flatMap(UInt16.init) else { return .usage }
        DescriptorOrderSelfTest.runChild(port: port)
        return .done
    }

    /// Runs the test and says what a refuted plan costs.
    static func proveOrder(logger: Logger) -> DescriptorOrderSelfTest.Verdict {
        let executable = "/proc/\(ProcessLimits.processID)/exe"
        let verdict = DescriptorOrderSelfTest.run { port in "exec \(executable) \(name) \(port)" }
        switch verdict {
        case .proven:
            logger.info("this kernel closes descriptors from the highest number down: proven")
        case .refuted(let order):
            logger.warning(
                "this kernel closes descriptors in another order: after a crash here the peer "
                    + "still takes over, but it may learn of the death later, and clients may see "
                    + "their connections closed by the dying node",
                ["order": order.map(String.init).joined(separator: ",")])
        case .inconclusive(let reason):
            logger.warning("the order of closing descriptors could not be tested: \(reason)")
        }
        return verdict
    }
}

extension DescriptorOrderSelfTest.Verdict {
    /// One word for `tandem status --json`.
    var word: String {
        switch self {
        case .proven: "proven"
        case .refuted: "refuted"
        case .inconclusive: "inconclusive"
        }
    }
}
