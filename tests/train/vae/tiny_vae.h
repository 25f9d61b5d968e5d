// A VAE small enough for a test, with random weights.
#pragma once

#include <torch/utils.h>

#include "moga/model/vae/vae.h"

namespace moga::test {

// Writes a VAE of `channels` latent channels.
inline void save_tiny_vae(const std::filesystem::path& folder, int64_t channels) {
  torch::manual_seed(5);
  VaeConfig config;
  config.base_dim = 8;
  config.z_dim = channels;
  config.dim_mult = {1, 1, 1, 1};
  config.num_res_blocks = 1;
  config.latents_mean = std::vector<double>(channels, 0.1);
  config.latents_std = std::vector<double>(channels, 0.5);
  save_vae(folder, Vae(config), at::kFloat);
}

}  // namespace moga::test
