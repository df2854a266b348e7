// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the reader of configuration files: whatever a file holds is a configuration or a list of
// errors with places, the same each time.

import ConfigurationCore
import ConfigurationService

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let (exitCode, text) = ConfigurationLoader.check(bytes, name: "tandem.yaml")
    precondition(exitCode == 0 || exitCode == 1)
    precondition(text.hasSuffix("\n"))
    switch ConfigurationLoader.load(bytes, name: "tandem.yaml", node: .named("lb1")) {
    case .success(let loaded):
        precondition(exitCode == 0)
        guard
            case .success(let again) = ConfigurationLoader.load(
                bytes, name: "tandem.yaml", node: .named("lb1"))
        else { preconditionFailure("the same bytes are refused the second time") }
        precondition(again.hash.rawValue == loaded.hash.rawValue)
    case .failure(let rejected):
        precondition(!rejected.text.isEmpty)
    }
    return 0
}
