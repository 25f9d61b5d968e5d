// Tiling of pictures into contact sheets. PNG files are read and written in png.cpp.
#include "moga/data/video/image.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr int kBackground = 24;  // a dark neutral grey: pictures of any brightness stand out

void check_image(const at::Tensor& image, const char* what) {
  check(image.dim() == 3 && image.size(0) == 3 && image.scalar_type() == at::kByte, what, ": image is ",
        image.scalar_type(), " ", image.sizes(), ", expected uint8 [3, Y, X]");
}

}  // namespace

at::Tensor shrunk_image(const at::Tensor& picture, int64_t widest) {
  const int64_t height = picture.size(1), width = picture.size(2);
  if (width <= widest) return picture.clone();
  const int64_t rows = std::max<int64_t>(1, (height * widest + width / 2) / width);
  return at::_adaptive_avg_pool2d(picture.to(at::kFloat), {rows, widest}).round_().to(at::kByte);
}

at::Tensor tile_images(const std::vector<std::vector<at::Tensor>>& rows, int64_t margin) {
  const at::Tensor* first = nullptr;
  size_t columns = 0;
  for (const auto& row : rows) {
    columns = std::max(columns, row.size());
    if (!first && !row.empty()) first = &row.front();
  }
  check(first, "tile_images: no pictures");
  check_image(*first, "tile_images");
  const int64_t height = first->size(1), width = first->size(2);
  const at::Tensor sheet = at::full({3, margin + static_cast<int64_t>(rows.size()) * (height + margin),
                                     margin + static_cast<int64_t>(columns) * (width + margin)},
                                    kBackground, at::kByte);
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t c = 0; c < rows[r].size(); ++c) {
      check(rows[r][c].sizes() == first->sizes(), "tile_images: a picture is ", rows[r][c].sizes(), ", the first is ",
            first->sizes());
      const int64_t y = margin + static_cast<int64_t>(r) * (height + margin);
      const int64_t x = margin + static_cast<int64_t>(c) * (width + margin);
      sheet.slice(1, y, y + height).slice(2, x, x + width).copy_(rows[r][c]);
    }
  return sheet;
}

ContactSheet::ContactSheet(std::vector<int64_t> shot_frames, int64_t columns)
    : shot_frames_(std::move(shot_frames)), columns_(columns), rows_(shot_frames_.size()) {
  check(columns_ >= 1, "contact sheet: ", columns_, " columns, expected at least 1");
  for (const int64_t frames : shot_frames_) check(frames >= 1, "contact sheet: a shot has ", frames, " frames");
}

void ContactSheet::add(const at::Tensor& frames) {
  const int64_t widest = std::max<int64_t>(1, (kWidest - kImageMargin) / columns_ - kImageMargin);
  int64_t end = 0;
  for (size_t shot = 0; shot < shot_frames_.size(); ++shot) {
    const int64_t begin = end, length = shot_frames_[shot];
    end += length;
    for (int64_t column = 0; column < columns_; ++column) {
      // The middle frame of each of `columns` equal pieces of the shot, which avoids frames next to cuts.
      const int64_t index = begin + (2 * column + 1) * length / (2 * columns_) - next_;
      if (index >= 0 && index < frames.size(0)) rows_[shot].push_back(shrunk_image(frames[index].cpu(), widest));
    }
  }
  next_ += frames.size(0);
}

at::Tensor ContactSheet::image() const { return tile_images(rows_); }

}  // namespace moga
