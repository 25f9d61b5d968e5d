// Weights as parts of a model folder, through the loaders.
#include <ATen/ATen.h>

#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/model/registry.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/safetensors_bytes.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

using nlohmann::json;

std::string mutate_either(const std::string& original, Random& random) {
  return below(random, 2) == 0 ? mutate_header(original, random) : mutate_data(original, random);
}

// The module's tensors are those of the file, under the names that file_fit looks up.
void check_module(const torch::nn::Module& module, const FileFit& fit, const std::string& bytes) {
  const json header = header_of(bytes);
  for (const auto& [name, tensor] : named_tensors(module)) {
    const auto in_file = fit.file_names.find(name);
    if (in_file == fit.file_names.end()) continue;                  // a router that the file lacks
    if (header.at(in_file->second).at("dtype") != "F32") continue;  // converted
    if (!same_bytes(tensor, bytes_of(bytes, header, in_file->second))) throw Wrong(name + ": other bytes");
  }
}

void read_vae(const std::filesystem::path& path, const std::string& bytes) {
  const CodecPtr model = load_codec(path.parent_path(), at::kCPU, at::kFloat);
  check_module(*model, codec_file_fit(path.parent_path()), bytes);
}

void read_transformer(const std::filesystem::path& path, const std::string& bytes) {
  const VideoModelPtr model = load_video_model(path.parent_path(), {.device = at::kCPU, .dtype = at::kFloat});
  check_module(*model, video_model_file_fit(path.parent_path()), bytes);
}

Target part_target(const std::filesystem::path& folder, const char* part,
                   void (*read)(const std::filesystem::path&, const std::string&)) {
  const char* file = "diffusion_pytorch_model.safetensors";
  return {std::string("weights of ") + part,
          std::string(part) + "/" + file,
          {read_text(folder / part / file)},
          mutate_either,
          read};
}

}  // namespace

std::vector<Target> part_targets(const std::filesystem::path& folder) {
  return {part_target(folder, "vae", read_vae), part_target(folder, "transformer", read_transformer)};
}

}  // namespace moga::test
