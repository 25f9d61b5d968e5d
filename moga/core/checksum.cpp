// See checksum.h.
#include "moga/core/checksum.h"

#include <ATen/core/Tensor.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

#include "moga/core/check.h"
#include "moga/core/files.h"

namespace moga {
namespace {

constexpr const char* kKey = "checksum";
constexpr size_t kPieceBytes = size_t{1} << 20;  // a multiple of a word

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

void Checksum::add(const void* data, size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, from + at, sizeof word);
    add_word(word);
  }
  uint64_t rest = 0;
  if (at < bytes) std::memcpy(&rest, from + at, bytes - at);
  add_word(rest);
  add_word(bytes);
}

void Checksum::add(const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().cpu().contiguous();
  add(at::toString(host.scalar_type()));
  add(host.sizes().data(), host.sizes().size() * sizeof(int64_t));
  add(host.const_data_ptr(), host.nbytes());
}

std::string Checksum::text() const {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016lx", static_cast<unsigned long>(hash_));
  return digits;
}

std::string file_checksum(const std::filesystem::path& path) {
  check_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), path.string(), ": cannot be opened: ", std::strerror(errno));
  Checksum checksum;
  std::vector<char> piece(kPieceBytes);
  do {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    checksum.add(piece.data(), static_cast<size_t>(file.gcount()));
  } while (file.good());
  check(!file.bad(), path.string(), ": cannot be read: ", std::strerror(errno));
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
