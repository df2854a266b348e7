// SPDX-License-Identifier: Apache-2.0
//
// The bytes that belong to a request: what mirror.c answers and what keep.c expects, both made from
// the request's number alone. Text, so that a wrong byte can be read in a report.

#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

/// Bodies are at most this long.
enum { PATTERN_MAX = 1 << 20 };

/// Byte number `offset` of the body that belongs to request `number`.
static inline char pattern_byte(uint64_t number, size_t offset) {
    // One step of splitmix64 gives 16 hexadecimal digits.
    uint64_t value = number * 0x9e3779b97f4a7c15ull + (offset / 16 + 1) * 0xd1342543de82ef95ull;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    value ^= value >> 31;
    return "0123456789abcdef"[(value >> (4 * (offset % 16))) & 15];
}

static inline void fill_pattern(uint64_t number, char *bytes, size_t count) {
    for (size_t offset = 0; offset < count; offset++) bytes[offset] = pattern_byte(number, offset);
}

#endif
