// `moga bench vae`: encoding and decoding of a clip, streamed as generation and preparation do it.
#pragma once

#include "moga/bench/report.h"
#include "moga/model/vae/vae.h"

namespace moga {

struct VaeBenchConfig {
  VaeConfig vae;                      // random weights
  std::string folder;                 // or the weights of this one
  int64_t frames = 81;                // pixel frames, 1 + 4k
  int64_t width = 832, height = 480;  // multiples of 8
  std::string convolution = "auto";   // causal_convolution.h
  bool encode = true, decode = true;

  void validate() const;
};

// FLOP of the convolutions and of the pixels' attention for one latent frame of 2·rows × 2·columns latents, four pixel
// frames of 16·rows × 16·columns.
double vae_encode_flop(const VaeConfig& config, double latents);
double vae_decode_flop(const VaeConfig& config, double latents);

// Last column: milliseconds a pixel frame. Peak memory holds the weights, and neither clip nor frames.
BenchReport bench_vae(const VaeBenchConfig& config, const BenchSetup& setup);

}  // namespace moga
