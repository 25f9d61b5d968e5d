// An image as the image encoder wants it: the short side resized (bicubic), the middle cut out, values scaled and
// normalised per channel. preprocessor_config.json of transformers' CLIPImageProcessor says how; bits are those of its
// Pillow backend.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

namespace moga {

struct ImageProcessorConfig {
  int64_t short_side = 224;  // pixels after resizing
  int64_t crop = 224;        // side of the square that is cut out
  std::vector<double> image_mean = {0.48145466, 0.4578275, 0.40821073};
  std::vector<double> image_std = {0.26862954, 0.26130258, 0.27577711};
};

// Throws when the file asks for another kind of processing.
ImageProcessorConfig load_image_processor_config(const std::filesystem::path& path);

// uint8 RGB [3, Y, X] → float32 [3, crop, crop]. An image that is smaller than the crop after resizing is padded by
// black.
at::Tensor processed(const at::Tensor& image, const ImageProcessorConfig& config);

}  // namespace moga
