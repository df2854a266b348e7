// SPDX-License-Identifier: Apache-2.0
//
// Small files, read whole, and random bytes.

internal import CLinux

/// Files by path.
public enum FileSystem {
    /// Reads a regular file of at most `byteCountMax` bytes (open, read).
    ///
    /// - Throws: EISDIR for a directory, EFBIG for a larger file, and what open and read report.
    public static func read(path: String, byteCountMax: Int) throws(Errno) -> [UInt8] {
        let number = try SystemCall.retrying { tandem_open(path, O_RDONLY | O_CLOEXEC, 0) }
        let file = FileDescriptor(owning: number)
        var content: [UInt8] = []
        while let piece = try file.read(upTo: 65_536), !piece.isEmpty {
            content += piece
            if content.count > byteCountMax { throw .tooLarge }
        }
        return content
    }

    /// Writes a file, replacing it in one step (open, write, rename).
    public static func write(
        _ content: [UInt8], path: String, mode: UInt32 = 0o644
    ) throws(Errno) {
        let temporary = path + ".new"
        let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
        let number = try SystemCall.retrying { tandem_open(temporary, flags, mode) }
        let file = FileDescriptor(owning: number)
        var written = 0
        while written < content.count {
            let rest = Array(content[written...])
            guard case .bytes(let count) = try file.write(rest) else { throw .wouldBlock }
            written += count
        }
        try SystemCall.retrying { rename(temporary, path) }
    }

    /// Writes into a file that exists and keeps it, as files under /proc/sys want (open, write).
    public static func overwrite(_ content: [UInt8], path: String) throws(Errno) {
        let number = try SystemCall.retrying { tandem_open(path, O_WRONLY | O_CLOEXEC, 0) }
        let file = FileDescriptor(owning: number)
        guard case .bytes(content.count) = try file.write(content) else { throw .wouldBlock }
    }

    /// The permission bits and owner of a file (stat).
    public static func permissions(path: String) throws(Errno) -> (mode: UInt32, owner: UInt32) {
        var status = stat()
        try SystemCall.retrying { stat(path, &status) }
        return (UInt32(status.st_mode) & 0o7777, UInt32(status.st_uid))
    }

    /// Removes a file; a missing one is no error (unlink).
    public static func remove(path: String) throws(Errno) {
        do {
            try SystemCall.retrying { unlink(path) }
        } catch .noSuchFile {
            return
        }
    }

    /// Makes a directory unless it exists (mkdir).
    public static func makeDirectory(path: String, mode: UInt32 = 0o755) throws(Errno) {
        do {
            try SystemCall.retrying { mkdir(path, mode) }
        } catch .exists {
            return
        }
    }

    /// The host's name (gethostname).
    public static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, 255) == 0 else { return "" }
        return String(
            decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The kernel's random number generator.
public enum RandomBytes {
    /// `count` bytes fit for secrets, at most 256 (getrandom through getentropy).
    public static func make(count: Int) -> [UInt8] {
        precondition((0...256).contains(count), "getentropy gives at most 256 bytes")
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let result = getentropy(buffer.baseAddress, count)
            precondition(result == 0, "the kernel always has random bytes after boot")
            initialized = count
        }
    }

    /// A seed for generators that need no secrecy.
    public static func seed() -> UInt64 {
        make(count: 8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
