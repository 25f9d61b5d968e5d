// Mutations of a file's bytes, a pure function of (bytes, seed): one to four random changes each.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace moga::test {

using Random = std::mt19937_64;

// A whole number in [0, bound); unlike std::uniform_int_distribution the same in every standard library.
inline size_t below(Random& random, size_t bound) { return bound == 0 ? 0 : random() % bound; }

// Bits, bytes and 32-bit numbers changed, spans removed, inserted, repeated, the end cut off.
std::string mutate_bytes(std::string bytes, Random& random);

// For JSON and TOML, also: numbers and words replaced by edge cases and by other words of the text, lines removed and
// repeated.
std::string mutate_text(std::string text, Random& random);

}  // namespace moga::test
