// A checksum for files that a later run believes: h ← (h ^ word) · p over 64-bit words (FNV-1a's step). Every step is
// one-to-one, so a change within one word is always noticed, and others with probability 1 - 2⁻⁶⁴. Not cryptographic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "moga/core/safetensors.h"

namespace moga {

class Checksum {
 public:
  void add(const void* data, size_t bytes);  // and the number of bytes
  void add(const std::string& text) { add(text.data(), text.size()); }
  void add(const at::Tensor& tensor);  // dtype, shape and values
  std::string text() const;            // 16 digits

 private:
  void add_word(uint64_t word) { hash_ = (hash_ ^ word) * 0x100000001b3; }
  uint64_t hash_ = 0xcbf29ce484222325;
};

// Of a file's bytes.
std::string file_checksum(const std::filesystem::path& path);

// Safetensors whose metadata holds a checksum over all tensors and all other metadata.
struct Sealed {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};
void save_sealed(const std::filesystem::path& path, const TensorMap& tensors,
                 const std::map<std::string, std::string>& metadata);
// Throws when the checksum is missing or another: the file is damaged, or was changed.
Sealed load_sealed(const std::filesystem::path& path);

}  // namespace moga
