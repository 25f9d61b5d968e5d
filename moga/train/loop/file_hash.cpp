// Checksum of a file, 32 bytes a round. See file_hash.h.
#include "moga/train/loop/file_hash.h"

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio, odd
constexpr size_t kChunk = 1 << 20;                    // bytes, a multiple of 32

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 32)) * kMultiplier;
  x = (x ^ (x >> 29)) * kMultiplier;
  return x ^ (x >> 32);
}

}  // namespace

uint64_t file_hash(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  check(file.good(), path.string(), ": cannot be opened");
  std::array<uint64_t, 4> lanes = {1, 2, 3, 4};
  std::vector<char> chunk(kChunk);
  uint64_t total = 0;
  while (file) {
    file.read(chunk.data(), kChunk);
    const size_t read = static_cast<size_t>(file.gcount());
    total += read;
    std::memset(chunk.data() + read, 0, kChunk - read);
    for (size_t at = 0; at < read; at += 32) {
      std::array<uint64_t, 4> words;
      std::memcpy(words.data(), chunk.data() + at, 32);
      for (size_t lane = 0; lane < 4; ++lane) lanes[lane] = std::rotl((lanes[lane] ^ words[lane]) * kMultiplier, 31);
    }
  }
  uint64_t hash = mix(total);
  for (const uint64_t lane : lanes) hash = mix(hash ^ lane);
  return hash;
}

std::string to_hex(uint64_t hash) {
  std::array<char, 17> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return digits.data();
}

}  // namespace moga
