// SPDX-License-Identifier: Apache-2.0
//
// Descriptors with numbers below 1,024, kept free for libnftables: it waits for the kernel with
// select(2), whose sets have no place for larger ones (FD_SETSIZE), and the C library ends the
// process that tries. A node with a thousand connections has no such number left, unless somebody
// kept it.

internal import CNFTables
internal import Synchronization

/// The placeholders of this process.
enum SmallDescriptors {
    /// What select(2) can wait for: FD_SETSIZE.
    private static let numberEnd: CInt = 1_024
    /// Contexts alive at the same time, twice over.
    private static let reservedCountMax = 8
    /// How often another thread may snatch a number that was just given up.
    private static let attemptsMax = 8

    private static let placeholders = Mutex<[CInt]>([])

    /// Opens placeholders until there are enough or no small number is left.
    static func reserve() {
        placeholders.withLock { fill(&$0) }
    }

    /// Gives up a small number and has `open` take it at once.
    ///
    /// - Parameter open: opens a descriptor, which is the smallest free one; `nil` when it did not
    ///   get the number it is called with, because another thread did.
    /// - Returns: what `open` returned.
    /// - Throws: what `open` threw, or that no small number is left.
    static func lent<Value>(
        _ open: (CInt) throws(RulesError) -> Value?
    ) throws(RulesError) -> Value {
        for _ in 0..<attemptsMax {
            guard let number = smallest() else {
                throw RulesError("every descriptor below \(numberEnd) is in use")
            }
            tandem_close_placeholder(number)
            if let value = try open(number) { return value }
        }
        throw RulesError("other threads took every descriptor below \(numberEnd)")
    }

    /// A placeholder with the smallest number that can be had; the caller's.
    private static func smallest() -> CInt? {
        let number = tandem_open_placeholder()
        if (0..<numberEnd).contains(number) { return number }
        if number >= 0 { tandem_close_placeholder(number) }
        return placeholders.withLock { numbers in
            guard let place = numbers.indices.min(by: { numbers[$0] < numbers[$1] }) else {
                return nil
            }
            return numbers.remove(at: place)
        }
    }

    private static func fill(_ numbers: inout [CInt]) {
        while numbers.count < reservedCountMax {
            let number = tandem_open_placeholder()
            guard number >= 0 else { return }
            guard number < numberEnd else {
                tandem_close_placeholder(number)
                return
            }
            numbers.append(number)
        }
    }
}
