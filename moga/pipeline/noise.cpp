// See noise.h.
#include "moga/pipeline/noise.h"

#include <ATen/ATen.h>

#include "moga/core/random.h"

namespace moga {

at::Tensor noise_of(const VideoRequest& request, at::IntArrayRef latent) {
  if (request.noise.defined()) return request.noise.to(at::kCPU, at::kFloat);
  if (request.noise_from == NoiseSource::kMoga)
    return at::randn(latent, random_stream(request.seed, "noise"), at::kFloat);
  at::Generator generator = at::globalContext().defaultGenerator(at::kCPU).clone();
  generator.set_current_seed(static_cast<uint64_t>(request.seed));
  return at::randn(latent, generator, at::kFloat);
}

}  // namespace moga
