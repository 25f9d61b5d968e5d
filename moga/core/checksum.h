// A 64-bit checksum of files that a later run relies on: kept states of a generation, checkpoints of a training run.
//
//   lane ← rotate((lane ^ word) · m, 31), four lanes of 64-bit words side by side, mixed with the length at the end
//
// Each step is one-to-one in its word, so a change within one word is always found, and any other with probability
// 1 - 2⁻⁶⁴. It costs nothing next to reading the file. It is not cryptographic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "moga/core/safetensors.h"

namespace moga {

class Checksum {
 public:
  // The next piece of one stream of bytes; all pieces but the last are a multiple of 32 bytes.
  void add_piece(const void* data, size_t bytes);
  // A value of its own: the number of bytes is added before them.
  void add(const void* data, size_t bytes);
  void add(const std::string& text) { add(text.data(), text.size()); }
  void add(const at::Tensor& tensor);  // dtype, shape and values
  std::string text() const;            // 16 digits

 private:
  std::array<uint64_t, 4> lanes_ = {1, 2, 3, 4};
  uint64_t total_ = 0;  // bytes
};

// Of a file's bytes. text_checksum of the same bytes is the same.
std::string file_checksum(const std::filesystem::path& path);
std::string text_checksum(const std::string& text);

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
