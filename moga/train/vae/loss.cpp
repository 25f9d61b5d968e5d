// The weighted error at several scales and the KL divergence. See loss.h.
#include "moga/train/vae/loss.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {
namespace {

at::Tensor halve(const at::Tensor& x) { return at::avg_pool3d(x, {1, 2, 2}, {1, 2, 2}); }

// mean w |∂e| along one dimension.
at::Tensor derivative(const at::Tensor& error, const at::Tensor& weight, int64_t dimension) {
  const int64_t steps = error.size(dimension) - 1;
  if (steps == 0) return error.new_zeros({});
  const at::Tensor change = error.narrow(dimension, 1, steps) - error.narrow(dimension, 0, steps);
  return (change.abs() * weight.narrow(dimension, 1, steps)).mean();
}

// [B, 1, T, Y, X] float32, of mean 1.
at::Tensor weight_map(const VaeLossConfig& config, const at::Tensor& video, const at::Tensor& detail) {
  at::Tensor weight = 1.0 + config.detail * detail;
  if (config.motion > 0) weight = weight + config.motion * motion_map(video);
  return weight / weight.mean();
}

at::Tensor divergence(const Posterior& posterior) {
  const at::Tensor mean = posterior.mean.to(at::kFloat), log_variance = posterior.log_variance.to(at::kFloat);
  return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean();
}

}  // namespace

at::Tensor motion_map(const at::Tensor& video) {
  const at::Tensor change = video.diff(1, 2).abs().mean(1, /*keepdim=*/true);  // [B, 1, T-1, Y, X]
  if (change.size(2) == 0) return at::zeros_like(video.narrow(1, 0, 1));
  const at::Tensor before = at::cat({change.narrow(2, 0, 1), change}, 2);  // the first frame has only a frame after
  const at::Tensor after = at::cat({change, change.narrow(2, change.size(2) - 1, 1)}, 2);
  return at::avg_pool3d(0.5 * (before + after), {1, 7, 7}, {1, 1, 1}, {0, 3, 3}, /*ceil_mode=*/false,
                        /*count_include_pad=*/false);
}

void VaeLossConfig::validate() const {
  check(gradient >= 0 && detail >= 0 && motion >= 0 && kl >= 0,
        "VAE loss weights must not be negative: gradient = ", gradient, ", detail = ", detail, ", motion = ", motion,
        ", kl = ", kl);
  check(scales >= 1 && scales <= 4, "VAE loss scales = ", scales, ", expected 1 to 4");
}

VaeLoss vae_loss(const VaeLossConfig& config, const at::Tensor& reconstruction, const at::Tensor& video,
                 const at::Tensor& detail, const Posterior& posterior) {
  const at::Tensor full_error = reconstruction.to(at::kFloat) - video;
  at::Tensor error = full_error;
  at::Tensor weight = weight_map(config, video, detail);
  at::Tensor pixels = error.new_zeros({});
  for (int64_t scale = 0; scale < config.scales; ++scale) {
    if (scale > 0) {
      error = halve(error);
      weight = halve(weight);
    }
    pixels = pixels + (error.abs() * weight).mean();
    if (config.gradient == 0) continue;
    for (const int64_t dimension : {2, 3, 4})
      pixels = pixels + config.gradient / 3 * derivative(error, weight, dimension);
  }
  const at::Tensor kl = posterior.mean.defined() ? divergence(posterior) : error.new_zeros({});
  return {.total = pixels / static_cast<double>(config.scales) + config.kl * kl,
          .absolute = full_error.detach().abs().mean(),
          .squared = full_error.detach().square().mean(),
          .kl = kl.detach()};
}

}  // namespace moga
