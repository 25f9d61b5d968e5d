// See safetensors_bytes.h.
#include "tests/fuzz/safetensors_bytes.h"

#include <cstring>

namespace moga::test {
namespace {

constexpr size_t kLengthBytes = 8;

uint64_t header_length(const std::string& bytes) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return length;
}

std::string with_header(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

}  // namespace

std::string mutate_header(const std::string& original, Random& random) {
  const uint64_t length = header_length(original);
  const std::string header = mutate_text(original.substr(kLengthBytes, length), random);
  std::string mutated = with_header(header, original.substr(kLengthBytes + length));
  if (below(random, 10) == 0) std::memcpy(mutated.data(), &length, sizeof length);
  return mutated;
}

std::string mutate_data(const std::string& original, Random& random) {
  const size_t begin = kLengthBytes + header_length(original);
  std::string data = original.substr(begin);
  for (size_t i = 0; i < 1 + below(random, 64); ++i) data[below(random, data.size())] = static_cast<char>(random());
  return original.substr(0, begin) + data;
}

bool same_bytes(const at::Tensor& tensor, std::string_view bytes) {
  return bytes == std::string_view(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
}

std::string_view bytes_of(const std::string& file, const nlohmann::json& header, const std::string& name) {
  const nlohmann::json& offsets = header.at(name).at("data_offsets");
  const std::string_view data = std::string_view(file).substr(kLengthBytes + header_length(file));
  return data.substr(offsets[0], offsets[1].get<size_t>() - offsets[0].get<size_t>());
}

nlohmann::json header_of(const std::string& file) {
  return nlohmann::json::parse(file.substr(kLengthBytes, header_length(file)));
}

}  // namespace moga::test
