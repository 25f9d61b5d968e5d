// The checksum, 32 bytes per round. See file_hash.h.
#include "moga/train/loop/file_hash.h"

#include <algorithm>
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

class Hash {
 public:
  // `bytes` is a multiple of 32 in every call but the last.
  void add(const char* data, size_t bytes) {
    total_ += bytes;
    for (size_t at = 0; at < bytes; at += 32) {
      std::array<uint64_t, 4> words = {};
      std::memcpy(words.data(), data + at, std::min<size_t>(32, bytes - at));
      for (size_t lane = 0; lane < 4; ++lane) lanes_[lane] = std::rotl((lanes_[lane] ^ words[lane]) * kMultiplier, 31);
    }
  }
  uint64_t value() const {
    uint64_t hash = mix(total_);
    for (const uint64_t lane : lanes_) hash = mix(hash ^ lane);
    return hash;
  }

 private:
  std::array<uint64_t, 4> lanes_ = {1, 2, 3, 4};
  uint64_t total_ = 0;
};

}  // namespace

uint64_t file_hash(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  check(file.good(), path.string(), ": cannot be opened");
  std::vector<char> chunk(kChunk);
  Hash hash;
  while (file) {
    file.read(chunk.data(), kChunk);
    hash.add(chunk.data(), static_cast<size_t>(file.gcount()));
  }
  check(file.eof(), path.string(), ": cannot be read");
  return hash.value();
}

uint64_t text_hash(std::string_view text) {
  Hash hash;
  hash.add(text.data(), text.size());
  return hash.value();
}

std::string to_hex(uint64_t hash) {
  std::array<char, 17> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return digits.data();
}

}  // namespace moga
