// Black borders of a shot. See borders.h.
#include "moga/data/films/borders.h"

#include <algorithm>
#include <utility>

namespace moga {
namespace {

constexpr double kBrightPart = 0.02;
constexpr int64_t kEdge = 2;  // lines next to a border's end that may be blurred
constexpr double kStep = 10;  // by which mean luma rises behind a clear border

struct Side {
  int64_t border = 0;
  bool clear = true;
};

// From the beginning of the lines; `forward` false: from their end.
template <class Lines>
Side side_of(const Lines& lines, bool forward) {
  const auto count = static_cast<int64_t>(lines.bright.size());
  const auto at = [&](const std::vector<double>& values, int64_t i) {
    return values[static_cast<size_t>(forward ? i : count - 1 - i)];
  };
  Side side;
  while (side.border < count && at(lines.bright, side.border) <= kBrightPart) ++side.border;
  if (side.border == 0) return side;
  const int64_t inside = std::min(count - 1, side.border + kEdge), outside = std::max<int64_t>(0, side.border - kEdge);
  side.clear = side.border < count && at(lines.mean, inside) >= at(lines.mean, outside) + kStep;
  return side;
}

}  // namespace

void BorderFinder::add_lines(Lines& lines, const LumaFrame& frame, bool rows, double black) {
  const int64_t count = rows ? frame.height : frame.width, length = rows ? frame.width : frame.height;
  lines.bright.resize(static_cast<size_t>(count));
  lines.mean.resize(static_cast<size_t>(count));
  std::vector<int64_t> bright(static_cast<size_t>(count)), sum(static_cast<size_t>(count));
  for (int64_t y = 0; y < frame.height; ++y)
    for (int64_t x = 0; x < frame.width; ++x) {
      const uint8_t luma = frame.luma[static_cast<size_t>(y * frame.width + x)];
      const auto line = static_cast<size_t>(rows ? y : x);
      bright[line] += luma > black;
      sum[line] += luma;
    }
  for (size_t i = 0; i < bright.size(); ++i) {
    lines.bright[i] = std::max(lines.bright[i], static_cast<double>(bright[i]) / static_cast<double>(length));
    lines.mean[i] = std::max(lines.mean[i], static_cast<double>(sum[i]) / static_cast<double>(length));
  }
}

void BorderFinder::add(const LumaFrame& frame) {
  add_lines(rows_, frame, /*rows=*/true, black_);
  add_lines(columns_, frame, /*rows=*/false, black_);
}

Borders BorderFinder::borders() const {
  Borders found;
  int i = 0;
  for (const auto& [lines, forward] :
       {std::pair{&columns_, true}, std::pair{&rows_, true}, std::pair{&columns_, false}, std::pair{&rows_, false}}) {
    const Side side = side_of(*lines, forward);
    found.sides[static_cast<size_t>(i)] = side.border;
    found.clear[static_cast<size_t>(i++)] = side.clear;
  }
  return found;
}

void settle_borders(std::vector<Borders>& shots) {
  for (size_t side = 0; side < 4; ++side) {
    int64_t common = -1;
    for (const Borders& shot : shots)
      if (shot.clear[side]) common = common < 0 ? shot.sides[side] : std::min(common, shot.sides[side]);
    for (Borders& shot : shots)
      if (!shot.clear[side]) shot.sides[side] = std::min(shot.sides[side], std::max<int64_t>(0, common));
  }
}

}  // namespace moga
