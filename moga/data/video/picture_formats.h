// The two formats that read_image knows, one file each. Private to the folder.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moga {

inline constexpr uint64_t kMostPictureBytes = uint64_t{1} << 30;  // of a picture's file

// As stored, and how it is to be turned (exif.h).
struct StoredImage {
  at::Tensor pixels;  // uint8 RGB [Y, X, 3]
  int orientation = 1;
};

// `bytes`: the whole file; `source`: its name, for errors.
StoredImage decode_jpeg(const std::string& bytes, const std::string& source);
StoredImage decode_png(const std::string& bytes, const std::string& source);

}  // namespace moga
