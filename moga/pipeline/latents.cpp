// See latents.h.
#include "moga/pipeline/latents.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/core/safetensors.h"

namespace moga {
namespace {

constexpr const char* kName = "latents";

}  // namespace

at::Tensor load_latents(const std::filesystem::path& path) {
  const Safetensors file(path);
  check(file.contains(kName), path.string(), ": no tensor \"", kName, "\" among ", file.names().size());
  at::Tensor latents = file.load(kName);
  check(latents.is_floating_point(), path.string(), ": latents are ", latents.scalar_type(),
        ", expected floating-point numbers");
  if (latents.dim() == 5 && latents.size(0) == 1) latents = latents[0];
  check(latents.dim() == 4, path.string(), ": latents ", latents.sizes(), ", expected [z, F, Y', X'] of one video");
  return latents.to(at::kFloat);
}

void save_latents(const std::filesystem::path& path, const at::Tensor& latents) {
  save_safetensors(path, {{kName, latents.to(at::kFloat)}});
}

}  // namespace moga
