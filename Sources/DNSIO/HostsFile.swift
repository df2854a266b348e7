// SPDX-License-Identifier: Apache-2.0
//
// The hosts that a file names (hosts(5)), read again when it is asked after a while.

import LinuxIO
import WireCore

/// Names and their addresses out of a file.
struct HostsFile {
    /// A larger file is not read.
    static let byteCountMax = 1 << 20
    /// The file is read at most once in this time.
    static let ageMax = TimeSpan.seconds(1)
    /// An answer from the file is valid for so long.
    static let ttl = TimeSpan.seconds(5)

    private let path: String
    private var hosts: [String: [IPAddress]] = [:]
    private var readAt: Instant?

    init(path: String) {
        self.path = path
    }

    /// The addresses of a host; `nil` when the file does not name it.
    mutating func addresses(of name: String, now: Instant) -> [IPAddress]? {
        let isFresh = readAt.map { now - $0 < Self.ageMax } ?? false
        if !isFresh {
            readAt = now
            // Without a file, or with one that is no longer readable, nothing is named.
            let content = try? FileSystem.read(path: path, byteCountMax: Self.byteCountMax)
            hosts = Self.parse(content ?? [])
        }
        return hosts[name]
    }

    /// Reads lines of one address and its names, kept in lower case; `#` begins a comment.
    static func parse(_ content: [UInt8]) -> [String: [IPAddress]] {
        var hosts: [String: [IPAddress]] = [:]
        for line in content.split(separator: 0x0A) {
            let code = line.prefix { $0 != 0x23 }
            let words = code.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
            guard let first = words.first,
                let address = IPAddress(String(decoding: first, as: UTF8.self))
            else { continue }
            for word in words.dropFirst() {
                hosts[String(decoding: word, as: UTF8.self).lowercased(), default: []]
                    .append(address)
            }
        }
        return hosts
    }
}
