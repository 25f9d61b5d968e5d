// The ways to compute the convolutions of a codec. All give the same sum; which one is fast depends on the device and
// on its library, so benchmarks can choose one (Codec::set_convolution).
#pragma once

#include "moga/core/choice.h"

namespace moga {

enum class ConvolutionWay {
  automatic,  // sm90 where it serves, planes for float32 and float64 on a CPU, else volume
  volume,     // one 3D convolution
  planes,     // a 2D convolution for each frame of the kernel, added up in x's dtype
  stacked,    // the kernel's frames side by side as channels, one 2D convolution: more bytes, one sum
  sm90,       // our kernel: compute capability 9.0, bfloat16, no gradients; adds bias and residual
};
template <>
inline constexpr auto kChoices<ConvolutionWay> = std::array{
    Choice{ConvolutionWay::automatic, "auto", "chosen by device and dtype"},
    Choice{ConvolutionWay::sm90, "sm90", "our kernel"},
    Choice{ConvolutionWay::volume, "volume", "one 3D convolution of the library"},
    Choice{ConvolutionWay::planes, "planes", "2D convolutions added up"},
    Choice{ConvolutionWay::stacked, "stacked", "one 2D convolution over stacked frames"},
};

}  // namespace moga
