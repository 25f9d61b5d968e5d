// The largest crop that avoids boxes. See rectangles.h.
//
// A rectangle that cannot be made larger touches on each side the picture's edge or a box. All such combinations that
// are free of boxes are tried, and the largest part of the right shape in each is kept.
#include "moga/data/films/rectangles.h"

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"

namespace moga {
namespace {

struct Span {
  int64_t begin = 0, end = 0;
};

// Spans between edges of the boxes and of the picture, along one side.
std::vector<Span> spans(Span whole, const std::vector<Span>& boxes) {
  std::vector<int64_t> begins = {whole.begin}, ends = {whole.end};
  for (const Span& box : boxes) {
    begins.push_back(std::clamp(box.end, whole.begin, whole.end));
    ends.push_back(std::clamp(box.begin, whole.begin, whole.end));
  }
  std::vector<Span> all;
  for (const int64_t begin : begins)
    for (const int64_t end : ends)
      if (end > begin) all.push_back({begin, end});
  return all;
}

bool meet(const Crop& a, const Crop& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

// Where a span of `length` within [begin, end] is nearest to `middle`.
int64_t placed(Span in, int64_t length, double middle) {
  const auto wanted = static_cast<int64_t>(std::floor(middle - static_cast<double>(length) / 2));
  return std::clamp(wanted, in.begin, in.end - length);
}

double off_centre(const Crop& crop, double x, double y) {
  return std::hypot(static_cast<double>(crop.x) + static_cast<double>(crop.width) / 2 - x,
                    static_cast<double>(crop.y) + static_cast<double>(crop.height) / 2 - y);
}

}  // namespace

Crop largest_crop(const Crop& picture, const std::vector<Crop>& boxes) {
  check(boxes.size() <= kMostBoxes, boxes.size(), " boxes in a picture, at most ", kMostBoxes, " can be avoided");
  const double aspect = static_cast<double>(picture.width) / static_cast<double>(picture.height);
  const double middle_x = static_cast<double>(picture.x) + static_cast<double>(picture.width) / 2;
  const double middle_y = static_cast<double>(picture.y) + static_cast<double>(picture.height) / 2;
  std::vector<Span> across, down;
  for (const Crop& box : boxes) {
    across.push_back({box.x, box.x + box.width});
    down.push_back({box.y, box.y + box.height});
  }
  Crop best;
  double best_off = 0;
  const std::vector<Span> columns = spans({picture.x, picture.x + picture.width}, across);
  for (const Span& y : spans({picture.y, picture.y + picture.height}, down))
    for (const Span& x : columns) {
      Crop crop;
      crop.height = std::min<int64_t>(y.end - y.begin, std::llround(static_cast<double>(x.end - x.begin) / aspect));
      crop.width = std::min<int64_t>(x.end - x.begin, std::llround(static_cast<double>(crop.height) * aspect));
      const Crop whole = {x.begin, y.begin, x.end - x.begin, y.end - y.begin};
      if (crop.width < 1 || crop.height < 1 || area_of(crop) < area_of(best)) continue;
      if (std::any_of(boxes.begin(), boxes.end(), [&](const Crop& box) { return meet(whole, box); })) continue;
      crop.x = placed(x, crop.width, middle_x);
      crop.y = placed(y, crop.height, middle_y);
      const double off = off_centre(crop, middle_x, middle_y);
      if (area_of(crop) == area_of(best) && off >= best_off) continue;
      best = crop;
      best_off = off;
    }
  return best;
}

}  // namespace moga
