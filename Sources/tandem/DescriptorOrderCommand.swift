// SPDX-License-Identifier: Apache-2.0
//
// The child of the start-up self-test; hidden from normal help.

enum DescriptorOrderCommand {
    static let name = "descriptor-order-child"

    static func run(_ words: [String]) -> ExitCode { .usage }
}
