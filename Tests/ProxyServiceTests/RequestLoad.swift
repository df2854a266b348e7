// SPDX-License-Identifier: Apache-2.0
//
// Steady requests while something else happens to the data plane.

import LinuxIO
import Synchronization
import WireCore

/// Clients on threads of their own that ask until they are told to stop.
final class RequestLoad: Sendable {
    private let isOver = Atomic<Bool>(false)
    private let succeeded = Atomic<Int>(0)
    private let failures = Mutex<[String]>([])
    private let threads = Mutex<[KernelThread.Handle]>([])

    var successCount: Int { succeeded.load(ordering: .relaxed) }

    init(clientCount: Int, endpoint: Endpoint) throws {
        for number in 0..<clientCount {
            let handle = try KernelThread.start(name: "client") { [self] in
                do {
                    let client = try TestClient(endpoint)
                    while !isOver.load(ordering: .relaxed) {
                        let body = number % 2 == 0 ? "" : "body \(number)"
                        let response = try client.exchange(
                            "/\(number)", method: body.isEmpty ? "GET" : "POST", body: body)
                        guard response.status == 200 else {
                            throw TestFailure.malformed(response.head)
                        }
                        succeeded.wrappingAdd(1, ordering: .relaxed)
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
            threads.withLock { $0.append(handle) }
        }
    }

    func finish() -> [String] {
        isOver.store(true, ordering: .relaxed)
        for thread in threads.withLock({ $0 }) { thread.join() }
        return failures.withLock { $0 }
    }
}
