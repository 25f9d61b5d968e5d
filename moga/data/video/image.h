// PNG files, JPEG bytes and contact sheets.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "moga/data/video/tags.h"

namespace moga {

void save_png(const std::filesystem::path& path, const at::Tensor& image,  // uint8 [3, Y, X]
              const MediaTags& tags = {});
at::Tensor load_png(const std::filesystem::path& path);
// The bytes of a JPEG file of uint8 [3, Y, X]; quality 1 to 100.
std::string jpeg_bytes(const at::Tensor& image, int quality);

// The metadata of a PNG, read without its pixels.
struct ImageInfo {
  int64_t width = 0, height = 0;
  MediaTags tags;
};
ImageInfo png_info(const std::filesystem::path& path);

// Reduces uint8 [3, Y, X] to at most `widest` columns; each pixel is the mean of those it replaces.
at::Tensor shrunk_image(const at::Tensor& picture, int64_t widest);

inline constexpr int64_t kImageMargin = 4;
// Pictures in rows with a margin: rows of uint8 [3, Y, X], all of one size.
at::Tensor tile_images(const std::vector<std::vector<at::Tensor>>& rows, int64_t margin = kImageMargin);

// Collects a contact sheet while a video is written: one row per shot, `columns` evenly spaced frames of each shot,
// made smaller where the sheet would be wider than kWidest pixels. A minute of large frames stays a file to look at.
class ContactSheet {
 public:
  static constexpr int64_t kColumns = 5, kWidest = 1920;
  // Pixel frames of each shot.
  explicit ContactSheet(std::vector<int64_t> shot_frames, int64_t columns = kColumns);
  void add(const at::Tensor& frames);  // uint8 [T, 3, Y, X], the next frames
  at::Tensor image() const;            // uint8 [3, Y, X]

 private:
  std::vector<int64_t> shot_frames_;
  int64_t columns_;
  int64_t next_ = 0;
  std::vector<std::vector<at::Tensor>> rows_;
};

}  // namespace moga
