// safetensors: the only weight format that is read. Files are memory-mapped; a tensor is copied when it is asked for,
// straight to its device, and leaves no page of its file in memory. Sharded models are read through their
// *.index.json.
//
// Layout: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, the data.
// https://huggingface.co/docs/safetensors
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace moga {

using TensorMap = std::map<std::string, at::Tensor>;

class Safetensors {
 public:
  // `path`: a .safetensors file, a *.index.json, or a folder that holds one of them. Throws one line naming file,
  // tensor, expected and found when the header is malformed, a shape does not match its bytes, or the tensors do not
  // cover the data exactly: holes, overlaps and trailing bytes are refused as by the format's own reader.
  explicit Safetensors(const std::filesystem::path& path);

  // The file or index that was opened, for messages.
  const std::string& source() const;
  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const;
  std::vector<int64_t> shape(const std::string& name) const;
  c10::ScalarType dtype(const std::string& name) const;
  std::map<std::string, std::string> metadata() const;

  // A tensor that owns its memory, on `device`, in the file's dtype.
  at::Tensor load(const std::string& name, c10::Device device = c10::Device(c10::kCPU)) const;
  TensorMap load_all(c10::Device device = c10::Device(c10::kCPU)) const;

 private:
  struct Files;
  std::shared_ptr<const Files> files_;
};

// Writes atomically (core/files.h): widest dtype first, then by name, without holes, so that every tensor is aligned to
// its element size. Tensors may be on any device and need not be contiguous. Needs memory for one tensor.
void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace moga
