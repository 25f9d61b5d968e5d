// Resizing of 8-bit images by a separable filter: rows first, then columns, each rounded to 8 bits, with weights in
// fixed point. The same bits as Image.resize of Pillow up to version 12, which diffusers and transformers use on
// images; version 13 resizes columns first where that is less work, which changes single values. On the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace moga {

enum class Filter {
  kBicubic,  // a = −1/2, support 2
  kLanczos,  // sinc(x) · sinc(x / 3), support 3
};

// uint8 [C, Y, X] → [C, height, width]. When an image shrinks the filter is as much wider.
at::Tensor resample(const at::Tensor& image, int64_t height, int64_t width, Filter filter);

}  // namespace moga
