// The training loss of a VAE, from the error e = reconstruction − video:
//
//   L = Σ_s [ mean w|e_s| + g · mean w(|∂t e_s| + |∂y e_s| + |∂x e_s|) / 3 ] / scales + k · KL
//
// e_s is e averaged over 2^s × 2^s pixels: coarse scales keep colours accurate, the derivatives keep edges crisp and
// frames steady. w = 1 + detail · d + motion · m, divided by its mean, rises on persons and their heads, whose hats of
// a few pixels weigh nothing in a plain mean, and where the picture moves. KL is the divergence of the posterior from
// N(0, 1), a mean over latent elements. No pretrained network is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace moga {

struct VaeLossConfig {
  double gradient = 1.0;
  int64_t scales = 3;
  double detail = 1.0;
  double motion = 0.0;
  double kl = 3e-4;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("gradient", gradient, "weight of the error's derivatives");
    field("scales", scales, "resolutions compared, each half the one before");
    field("detail", detail, "additional weight of persons; twice that on heads and hats");
    field("motion", motion, "additional weight of what moves, times motion_map");
    field("kl", kl, "weight of the KL divergence, a mean over latent elements");
  }
};

struct Posterior {
  at::Tensor mean, log_variance;  // [B, z, F, Y/8, X/8], or undefined
};

struct VaeLoss {
  at::Tensor total;
  at::Tensor absolute;  // mean |e|, not weighted
  at::Tensor squared;   // mean e²: PSNR = 10 log₁₀(4 / squared)
  at::Tensor kl;
};

// How much each pixel changes from the frame before and to the frame after, [B, 1, T, Y, X] in [0, 2]: the mean over
// both and over the colours of |x_t − x_{t−1}|, averaged over 7 × 7 pixels so that the place a limb has just left
// counts as the limb does. A cut is motion of the whole picture. video [B, 3, T, Y, X].
at::Tensor motion_map(const at::Tensor& video);

// reconstruction, video [B, 3, T, Y, X]; detail [B, 1, T, Y, X] as in Clips. Without a posterior (a frozen encoder) the
// KL term is absent. Computed in float32; scalars on the device.
VaeLoss vae_loss(const VaeLossConfig& config, const at::Tensor& reconstruction, const at::Tensor& video,
                 const at::Tensor& detail, const Posterior& posterior);

}  // namespace moga
