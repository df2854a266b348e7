// SPDX-License-Identifier: Apache-2.0
//
// Writing text to a standard stream, which this process does not own.

internal import CLinux

/// Output to descriptors that the process was started with.
public enum DescriptorOutput {
    /// Writes all bytes, waiting as long as it takes; gives up when the stream is gone.
    public static func writeAll(_ bytes: [UInt8], to descriptor: CInt) {
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count {
                let rest = UnsafeRawBufferPointer(rebasing: buffer[offset...])
                let count = write(descriptor, rest.baseAddress, rest.count)
                if count > 0 {
                    offset += count
                } else if count < 0, Errno.last == .interrupted {
                    continue
                } else if count < 0, Errno.last == .wouldBlock {
                    KernelThread.pause(milliseconds: 1)
                } else {
                    return
                }
            }
        }
    }

    /// Writes text to standard output.
    public static func print(_ text: String) {
        writeAll(Array(text.utf8), to: 1)
    }

    /// Writes text to standard error.
    public static func printError(_ text: String) {
        writeAll(Array(text.utf8), to: 2)
    }

    /// True when the descriptor is a terminal (isatty).
    public static func isTerminal(_ descriptor: CInt) -> Bool {
        isatty(descriptor) == 1
    }
}
