// SPDX-License-Identifier: Apache-2.0
//
// Texts of a configuration as bytes at addresses that do not change, freed together.

/// The memory of many small texts.
struct TextArena: ~Copyable {
    private var blocks: [UnsafeMutableRawBufferPointer] = []

    init() {}

    deinit {
        for block in blocks { block.deallocate() }
    }

    /// Copies a text; the copy lives as long as the arena.
    mutating func keep(_ text: String) -> UnsafeRawBufferPointer {
        keep(Array(text.utf8))
    }

    /// Copies bytes; the copy lives as long as the arena.
    mutating func keep(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, bytes.count), alignment: 8)
        block.copyBytes(from: bytes)
        blocks.append(block)
        return UnsafeRawBufferPointer(rebasing: block[..<bytes.count])
    }

    /// Copies values that own nothing; the copy lives as long as the arena.
    mutating func keep<Element>(_ elements: [Element]) -> UnsafeBufferPointer<Element> {
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, elements.count * MemoryLayout<Element>.stride),
            alignment: MemoryLayout<Element>.alignment)
        blocks.append(block)
        let place = block.bindMemory(to: Element.self)
        _ = place.initialize(from: elements)
        return UnsafeBufferPointer(rebasing: place[..<elements.count])
    }
}
