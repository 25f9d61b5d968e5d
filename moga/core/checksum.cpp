// See checksum.h.
#include "moga/core/checksum.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

#include "moga/core/check.h"
#include "moga/core/files.h"

namespace moga {
namespace {

constexpr const char* kKey = "sealed";                // of the metadata
constexpr size_t kRoundBytes = 32;                    // a word in each lane
constexpr size_t kPieceBytes = size_t{1} << 20;       // a multiple of a round
constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio, odd

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 32)) * kMultiplier;
  x = (x ^ (x >> 29)) * kMultiplier;
  return x ^ (x >> 32);
}

std::string checksum_of(const TensorMap& tensors, const std::map<std::string, std::string>& metadata) {
  Checksum checksum;
  for (const auto& [key, value] : metadata) {
    if (key == kKey) continue;
    checksum.add(key);
    checksum.add(value);
  }
  for (const auto& [name, tensor] : tensors) {
    checksum.add(name);
    checksum.add(tensor);
  }
  return checksum.text();
}

}  // namespace

void Checksum::add_piece(const void* data, size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  total_ += bytes;
  for (size_t at = 0; at < bytes; at += kRoundBytes) {
    std::array<uint64_t, 4> words = {};
    std::memcpy(words.data(), from + at, std::min(kRoundBytes, bytes - at));
    for (size_t lane = 0; lane < 4; ++lane) lanes_[lane] = std::rotl((lanes_[lane] ^ words[lane]) * kMultiplier, 31);
  }
}

void Checksum::add(const void* data, size_t bytes) {
  const uint64_t size = bytes;
  add_piece(&size, sizeof size);
  add_piece(data, bytes);
}

void Checksum::add(const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().cpu().contiguous();
  add(at::toString(host.scalar_type()));
  add(host.sizes().data(), host.sizes().size() * sizeof(int64_t));
  add(host.const_data_ptr(), host.nbytes());
}

std::string Checksum::text() const {
  uint64_t hash = mix(total_);
  for (const uint64_t lane : lanes_) hash = mix(hash ^ lane);
  std::array<char, 17> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return digits.data();
}

std::string file_checksum(const std::filesystem::path& path) {
  check_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), path.string(), ": cannot be opened: ", std::strerror(errno));
  Checksum checksum;
  std::vector<char> piece(kPieceBytes);
  do {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    checksum.add_piece(piece.data(), static_cast<size_t>(file.gcount()));
  } while (file.good());
  check(!file.bad(), path.string(), ": cannot be read: ", std::strerror(errno));
  return checksum.text();
}

std::string text_checksum(const std::string& text) {
  Checksum checksum;
  checksum.add_piece(text.data(), text.size());
  return checksum.text();
}

void save_sealed(const std::filesystem::path& path, const TensorMap& tensors,
                 const std::map<std::string, std::string>& metadata) {
  std::map<std::string, std::string> sealed = metadata;
  sealed[kKey] = checksum_of(tensors, metadata);
  save_safetensors(path, tensors, sealed);
}

Sealed load_sealed(const std::filesystem::path& path) {
  const Safetensors file(path);
  Sealed sealed{file.load_all(), file.metadata()};
  const auto kept = sealed.metadata.find(kKey);
  check(kept != sealed.metadata.end(), file.source(),
        ": has no checksum; it was written by another program or version");
  const std::string found = checksum_of(sealed.tensors, sealed.metadata);
  check(kept->second == found, file.source(), ": is damaged: its checksum is ", found, ", expected ", kept->second);
  sealed.metadata.erase(kept);
  return sealed;
}

}  // namespace moga
