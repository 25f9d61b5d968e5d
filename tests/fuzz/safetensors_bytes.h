// The parts of a safetensors file, mutated and parsed a second time, independently of the reader.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>

#include "tests/fuzz/mutate.h"

namespace moga::test {

// The header's text changed, mostly with a length that fits it.
std::string mutate_header(const std::string& original, Random& random);
// Some bytes of the tensors.
std::string mutate_data(const std::string& original, Random& random);

nlohmann::json header_of(const std::string& file);
// The bytes of a tensor as the header describes it.
std::string_view bytes_of(const std::string& file, const nlohmann::json& header, const std::string& name);
bool same_bytes(const at::Tensor& tensor, std::string_view bytes);

}  // namespace moga::test
