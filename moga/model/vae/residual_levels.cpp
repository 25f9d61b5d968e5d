// See residual_levels.h. The shortcuts keep channels last, as the convolutions around them do.
#include "moga/model/vae/residual_levels.h"

#include <torch/types.h>

namespace moga {
namespace {

// [B, T, Y, X, C] → [B, C, T, Y, X], a view.
at::Tensor channels_first(const at::Tensor& x) { return x.permute({0, 4, 1, 2, 3}); }

void add_blocks(VaeLayers& layers, const ResidualLevelConfig& config) {
  for (int64_t block = 0; block < config.blocks; ++block)
    layers.add<ResidualBlockImpl>(block == 0 ? config.in : config.out, config.out, config.dropout);
}

}  // namespace

at::Tensor average_shortcut(const at::Tensor& x, int64_t out, ResampleFactor factor) {
  if (factor.positions() == 1 && x.size(1) == out) return x;
  const int64_t missing = (factor.frames - x.size(2) % factor.frames) % factor.frames;
  const at::Tensor even = missing > 0 ? at::constant_pad_nd(x, {0, 0, 0, 0, missing, 0}) : x;
  const at::Tensor parts = even.unflatten(2, {-1, factor.frames})
                               .unflatten(4, {-1, factor.side})
                               .unflatten(6, {-1, factor.side})
                               .permute({0, 2, 4, 6, 1, 3, 5, 7})  // [B, T', Y', X', C, frames, side, side]
                               .flatten(4);
  return channels_first(parts.unflatten(4, {out, -1}).mean(5));
}

at::Tensor duplicate_shortcut(const at::Tensor& x, int64_t out, ResampleFactor factor, bool first_chunk) {
  const int64_t repeats = out * factor.positions() / x.size(1);
  const at::Tensor last = x.permute({0, 2, 3, 4, 1});  // [B, T, Y, X, C]
  const at::Tensor parts = last.unsqueeze(5)
                               .expand({-1, -1, -1, -1, -1, repeats})
                               .flatten(4)
                               .unflatten(4, {out, factor.frames, factor.side, factor.side})
                               .permute({0, 1, 5, 2, 6, 3, 7, 4});  // [B, T, frames, Y, side, X, side, out]
  const at::Tensor y = channels_first(parts.flatten(1, 2).flatten(2, 3).flatten(3, 4));
  return first_chunk ? y.slice(2, factor.frames - 1) : y;
}

ResidualDownImpl::ResidualDownImpl(const ResidualLevelConfig& config)
    : config_(config), downsamples_(*this, "downsamples") {
  add_blocks(downsamples_, config);
  if (config.resample) downsamples_.add<DownsampleImpl>(config.out, config.time);
}

at::Tensor ResidualDownImpl::forward(const at::Tensor& x, FeatureCache& cache) {
  return downsamples_.forward(x, cache) + average_shortcut(x, config_.out, config_.factor());
}

ResidualUpImpl::ResidualUpImpl(const ResidualLevelConfig& config) : config_(config), upsamples_(*this, "upsamples") {
  add_blocks(upsamples_, config);
  if (config.resample) upsamples_.add<UpsampleImpl>(config.out, config.out, config.time);
}

at::Tensor ResidualUpImpl::forward(const at::Tensor& x, FeatureCache& cache) {
  const at::Tensor y = upsamples_.forward(x, cache);
  return config_.resample ? y + duplicate_shortcut(x, config_.out, config_.factor(), cache.first_chunk()) : y;
}

}  // namespace moga
