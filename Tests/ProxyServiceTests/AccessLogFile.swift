// SPDX-License-Identifier: Apache-2.0
//
// A file for the access log of one test, and its lines as they arrive.

import AccessLogLaboratory
import ConfigurationCore
import LinuxIO
import Testing
import WireCore

/// A log file of its own, removed afterwards.
final class AccessLogFile {
    let path = "/tmp/tandem-proxy-log-\(RandomBytes.seed())"

    init() {}

    deinit {
        for name in [path, path + ".1"] { try? FileSystem.remove(path: name) }
    }

    var configuration: AccessLogConfiguration { AccessLogConfiguration(file: path) }

    /// What is in the file now, line by line.
    var texts: [String] {
        let content = (try? FileSystem.read(path: path, byteCountMax: 16 << 20)) ?? []
        return String(decoding: content, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Waits for so many lines and reads them all.
    func lines(_ count: Int) throws -> [AccessLogJSON] {
        try #require(eventually { self.texts.count >= count })
        let texts = self.texts
        #expect(texts.count == count, "\(texts)")
        return try texts.map { text in
            try #require(AccessLogJSON(Array(text.utf8)), "no JSON: \(text)")
        }
    }

    /// Waits for the only line.
    func line() throws -> AccessLogJSON {
        try lines(1)[0]
    }
}
