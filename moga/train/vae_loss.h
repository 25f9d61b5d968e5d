// What a VAE is trained on, from the error e = reconstruction − video:
//
//   L = Σ_s [ mean w|e_s| + g · mean w(|∂t e_s| + |∂y e_s| + |∂x e_s|) / 3 ] / scales + k · KL
//
// e_s is e averaged over 2^s × 2^s pixels: coarse scales hold colours true, the derivatives keep edges crisp and frames
// steady. w rises on persons and their heads, whose hats of a few pixels weigh nothing in a plain mean. KL is the
// divergence of the posterior from N(0, 1), a mean over latent elements. No pretrained network is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace moga {

struct VaeLossConfig {
  double gradient = 1.0;
  int64_t scales = 3;
  double detail = 1.0;
  double kl = 3e-4;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("gradient", gradient, "weight of the error's derivatives");
    field("scales", scales, "resolutions compared, each half the one before");
    field("detail", detail, "additional weight of persons; twice that on heads and hats");
    field("kl", kl, "weight of the KL divergence, a mean over latent elements");
  }
};

struct Posterior {
  at::Tensor mean, log_variance;  // [B, z, F, Y/8, X/8]
};

struct VaeLoss {
  at::Tensor total;
  at::Tensor absolute;  // mean |e|, not weighted
  at::Tensor squared;   // mean e²: PSNR = 10 log₁₀(4 / squared)
  at::Tensor kl;
};

// reconstruction, video [B, 3, T, Y, X]; detail [B, 1, T, Y, X] as in Clips. Computed in float32; scalars on the device.
VaeLoss vae_loss(const VaeLossConfig& config, const at::Tensor& reconstruction, const at::Tensor& video,
                 const at::Tensor& detail, const Posterior& posterior);

}  // namespace moga
