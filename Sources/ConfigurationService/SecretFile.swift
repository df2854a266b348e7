// SPDX-License-Identifier: Apache-2.0
//
// The file with the pair link's shared secret: read, checked, handed over as bytes.

import ConfigurationCore
import LinuxIO

/// A look at the secret file.
struct SecretFile {
    /// Shorter secrets can be guessed from one observed handshake.
    static let byteCountMin = 16
    /// Far more than any key; a wrong path to a large file is noticed.
    static let byteCountMax = 4_096

    /// The secret; `nil` when it cannot be used.
    var secret: [UInt8]?
    /// What is wrong with it.
    var diagnostics: [Diagnostic] = []

    /// Reads the file; `mustExist` is false in a check, which may run on another host.
    init(path: String, range: SourceRange?, mustExist: Bool) {
        let name = "secret_file \(path)"
        let content: [UInt8]
        do throws(Errno) {
            content = try FileSystem.read(path: path, byteCountMax: Self.byteCountMax)
        } catch {
            diagnostics.append(
                Self.unreadable(error, name: name, range: range, mustExist: mustExist))
            return
        }
        let permissions = try? FileSystem.permissions(path: path)
        if let mode = permissions?.mode { checkMode(mode, name: name, path: path, range: range) }
        let trimmed = Self.withoutLineBreak(content)
        guard trimmed.count >= Self.byteCountMin else {
            diagnostics.append(
                Diagnostic(
                    .error, range,
                    "\(name) holds \(trimmed.count) bytes; "
                        + "at least \(Self.byteCountMin) are needed",
                    suggestion: "head -c 32 /dev/urandom | base64 >\(path)"))
            return
        }
        secret = trimmed
    }

    private mutating func checkMode(
        _ mode: UInt32, name: String, path: String, range: SourceRange?
    ) {
        let octal = String(mode & 0o777, radix: 8)
        if mode & 0o022 != 0 {
            diagnostics.append(
                Diagnostic(
                    .error, range, "\(name) can be written by others (mode \(octal))",
                    suggestion: "chmod 600 \(path)"))
        } else if mode & 0o044 != 0 {
            diagnostics.append(
                Diagnostic(
                    .warning, range, "\(name) can be read by others (mode \(octal))",
                    suggestion: "chmod 600 \(path)"))
        }
    }

    private static func unreadable(
        _ errno: Errno, name: String, range: SourceRange?, mustExist: Bool
    ) -> Diagnostic {
        let severity: Diagnostic.Severity = mustExist ? .error : .warning
        switch errno {
        case .noSuchFile:
            return Diagnostic(
                severity, range, "\(name) does not exist",
                suggestion: mustExist
                    ? "both nodes need a copy of the same file"
                    : "not on this host; a node refuses to start without it")
        case .accessDenied, .notPermitted:
            return Diagnostic(
                severity, range, "\(name) may not be read by this user",
                suggestion: mustExist ? "let tandem's user own it" : "check again as tandem's user")
        case .isDirectory:
            return Diagnostic(.error, range, "\(name) is a directory")
        case .tooLarge:
            return Diagnostic(
                .error, range, "\(name) has more than \(byteCountMax) bytes",
                suggestion: "a secret is short; is this the right file?")
        default:
            return Diagnostic(severity, range, "\(name) cannot be read: \(errno)")
        }
    }

    /// Editors and `echo` end the file with a line break that is no part of the secret.
    private static func withoutLineBreak(_ content: [UInt8]) -> [UInt8] {
        var content = content
        if content.last == 0x0A { content.removeLast() }
        if content.last == 0x0D { content.removeLast() }
        return content
    }
}
