// `moga bench vae`: encoding and decoding of a clip, streamed as generation and preparation do it. FLOP: those of the
// codec's config.
#pragma once

#include "moga/bench/report.h"
#include "moga/core/choice.h"
#include "moga/model/codec.h"

namespace moga {

enum class VaeWay { kBoth, kEncode, kDecode };
template <>
inline constexpr auto kChoices<VaeWay> = std::array{
    Choice{VaeWay::kBoth, "both", "encoding, then decoding"},
    Choice{VaeWay::kEncode, "encode", "encoding alone"},
    Choice{VaeWay::kDecode, "decode", "decoding alone"},
};

struct VaeBenchConfig {
  Cloned<CodecConfig> codec;          // random weights
  std::string folder;                 // or weights from this folder
  int64_t frames = 81;                // pixel frames
  int64_t width = 832, height = 480;  // pixels
  ConvolutionWay convolution = ConvolutionWay::automatic;
  VaeWay only = VaeWay::kBoth;

  void validate() const;
};

// Last column: milliseconds per pixel frame. Peak memory includes the weights, but neither clip nor frames.
BenchReport bench_vae(const VaeBenchConfig& config, const BenchSetup& setup);

}  // namespace moga
