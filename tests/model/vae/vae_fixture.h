// The tiny VAEs of fixtures/vae and vae22 (written by tools/make_fixtures_vae.py and make_fixtures_ti2v.py), and small
// random ones.
#pragma once

#include <torch/types.h>
#include <torch/utils.h>

#include "moga/model/vae/vae.h"

namespace moga::test {

inline std::filesystem::path fixtures() { return MOGA_FIXTURES; }

inline VaeConfig tiny_vae_config() {
  VaeConfig config;
  config.base_dim = 4;
  config.z_dim = 4;
  config.dim_mult = {1, 2, 3, 1};
  config.num_res_blocks = 1;
  config.latents_mean = {0.1, -0.2, 0.3, -0.4};
  config.latents_std = {0.5, 1.0, 1.5, 2.0};
  return config;
}

// Of Wan2.2's kind.
inline VaeConfig tiny_vae22_config() {
  VaeConfig config = tiny_vae_config();
  config.decoder_base_dim = 2;
  config.dim_mult = {1, 2, 4, 4};
  config.is_residual = true;
  config.patch_size = 2;
  return config;
}

// Random weights that reach every path: the branches are not the zero they begin with.
inline Vae random_vae(at::ScalarType dtype = at::kFloat, const VaeConfig& config = tiny_vae_config()) {
  torch::manual_seed(11);
  Vae vae(config);
  const at::NoGradGuard no_grad;
  for (const auto& item : vae->named_parameters())
    if (item.value().eq(0).all().item<bool>()) item.value().normal_(0, 0.1);
  vae->to(dtype);
  return vae;
}

inline at::Tensor decode_all(Vae& vae, const at::Tensor& latent) {
  std::vector<at::Tensor> chunks;
  vae->decode(latent, [&](const at::Tensor& frames) { chunks.push_back(frames); });
  return at::cat(chunks, 2);
}

}  // namespace moga::test
