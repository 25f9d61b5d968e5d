// See patch.h.
#include "moga/model/layers/patch.h"

#include <torch/nn/init.h>

#include <cmath>

namespace moga {

at::Tensor patchify(const std::vector<at::Tensor>& latents, PatchSize patch, at::ScalarType dtype) {
  std::vector<at::Tensor> rows;
  for (const at::Tensor& latent : latents) {
    const int64_t channels = latent.size(0), frames = latent.size(1);
    const int64_t down = latent.size(2) / patch.rows, across = latent.size(3) / patch.columns;
    rows.push_back(latent.to(dtype)
                       .reshape({channels, frames, down, patch.rows, across, patch.columns})
                       .permute({1, 2, 4, 0, 3, 5})  // [F, Y, X, C_z, p_y, p_x]: the order of a convolution's weight
                       .reshape({frames * down * across, channels * patch.area()}));
  }
  return rows.size() == 1 ? rows[0] : at::cat(rows);
}

std::vector<at::Tensor> unpatchify(const at::Tensor& rows, const Layout& layout, PatchSize patch) {
  const int64_t channels = rows.size(1) / patch.area();
  std::vector<at::Tensor> latents;
  int64_t begin = 0;
  for (const VideoShape& video : layout.videos) {
    latents.push_back(rows.narrow(0, begin, video.tokens())
                          .view({video.frames, video.rows, video.columns, patch.rows, patch.columns, channels})
                          .permute({5, 0, 1, 3, 2, 4})  // [C_out, F, Y, p_y, X, p_x]
                          .reshape({channels, video.frames, video.rows * patch.rows, video.columns * patch.columns}));
    begin += video.tokens();
  }
  return latents;
}

PatchEmbeddingImpl::PatchEmbeddingImpl(int64_t channels, int64_t width, PatchSize patch)
    : LinearImpl(at::IntArrayRef{width, channels, 1, patch.rows, patch.columns}) {}

HeadImpl::HeadImpl(int64_t width, int64_t out, double eps)
    : head(register_module("head", Linear(width, out))),
      modulation(register_parameter("modulation", at::empty({1, 2, width}))),
      eps_(eps) {}

at::Tensor HeadImpl::forward(const at::Tensor& x, const at::Tensor& embedding, const Segments& segments) {
  const at::Tensor e = modulation.to(embedding.scalar_type()) + embedding.unsqueeze(1);  // [V, 2, C]
  return head(scaled_norm(x, 1 + e.select(1, 1), e.select(1, 0), segments, eps_));
}

void HeadImpl::initialise() {
  torch::nn::init::zeros_(head->weight);
  torch::nn::init::zeros_(head->bias);
  torch::nn::init::normal_(modulation, 0.0, 1.0 / std::sqrt(modulation.size(2)));
}

}  // namespace moga
