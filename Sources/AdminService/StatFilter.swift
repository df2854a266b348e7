// SPDX-License-Identifier: Apache-2.0
//
// Which rows `show stat` is asked for, in HAProxy's words (management guide 2.6, section 9.3).

/// Rows of some numbers and kinds.
public struct StatFilter: Equatable, Sendable {
    /// The number of a pool or listener; `nil` is any.
    public var proxy: Int?
    /// A bit for each kind: 1 listeners, 2 pools, 4 backends.
    public var kinds = Self.allKinds
    /// Of backends only those that have this number in their pool; `nil` is any.
    public var service: Int?

    private static let allKinds = 7

    /// Asks for every row.
    public init() {}

    /// Reads `IID TYPE SID`, of which -1 is any; `nil` when these are not three numbers.
    public init?(_ words: some Sequence<String>) {
        let numbers = words.map { Int($0) }
        guard numbers.count == 3, let proxy = numbers[0], let kinds = numbers[1],
            let service = numbers[2]
        else { return nil }
        self.proxy = proxy < 0 ? nil : proxy
        self.kinds = kinds < 0 ? Self.allKinds : kinds
        self.service = service < 0 ? nil : service
    }

    /// True for a row that is asked for.
    public func admits(_ row: StatRow) -> Bool {
        if let proxy, row.numbers.proxy != proxy { return false }
        if row.kind == .server, let service, row.numbers.service != service { return false }
        return kinds & (1 << row.kind.rawValue) != 0
    }
}
