// safetensors by themselves.
#include <ATen/ATen.h>

#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/safetensors_bytes.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

using nlohmann::json;

void read_tensors(const std::filesystem::path& path, const std::string& bytes) {
  const Safetensors file(path);
  const json header = header_of(bytes);
  if (header.size() - header.contains("__metadata__") != file.names().size()) throw Wrong("another number of tensors");
  for (const std::string& name : file.names()) {
    if (json(file.shape(name)) != header.at(name).at("shape")) throw Wrong(name + ": another shape");
    if (!same_bytes(file.load(name), bytes_of(bytes, header, name))) throw Wrong(name + ": other bytes");
  }
}

std::string mutate_all(const std::string& original, Random& random) { return mutate_bytes(original, random); }

}  // namespace

std::vector<Target> weight_targets(const std::filesystem::path& folder) {
  save_safetensors(folder / "a.safetensors",
                   {{"a", at::arange(6, at::kFloat).view({2, 3})},
                    {"b.weight", at::ones({4}, at::kBFloat16)},
                    {"c", at::zeros({0, 2})},
                    {"d", at::tensor(7)}},
                   {{"format", "pt"}});
  const std::string file = read_text(folder / "a.safetensors");
  return {{"weight headers", "a.safetensors", {file}, mutate_header, read_tensors},
          {"weight tensors", "a.safetensors", {file}, mutate_data, read_tensors},
          {"weight files", "a.safetensors", {file}, mutate_all, read_tensors}};
}

}  // namespace moga::test
