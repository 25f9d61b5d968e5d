// Watermarks and subtitles. See marks.h.
#include "moga/data/films/marks.h"

#include <algorithm>
#include <cmath>

namespace moga {
namespace {

constexpr int64_t kCell = 8, kJoin = 2;  // pixels of a cell; cells between parts of one mark
constexpr int64_t kEdgeMargin = 4;       // pixels next to a border, whose own edge stays
constexpr float kLeastEdge = 6;          // mean |g|, in levels per pixel
constexpr double kLeastStays = 0.6;      // |mean g| / mean |g|
constexpr double kChance = 3;            // chance reaches kChance / √frames in one of a thousand edges
constexpr double kMostNeeded = 0.96;     // with fewer frames nothing can be said
constexpr double kBothWays = 0.2;        // part of a mark's edges that run across, and that run down
constexpr int kCellEdges = 6;            // pixels with an edge in a cell
constexpr double kMostStaying = 0.35;    // of the cells with edges
constexpr double kMostPicture = 0.08;    // of all cells
constexpr int64_t kLeastCells = 3, kLeastEdged = 40;
constexpr double kRim = 0.3;  // of each side: where marks are

struct Grid {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> cells;       // 0: no edges, 1: edges that move, 2: edges that stay
  std::vector<float> across, down;  // of the edges that stay: sums of |mean g| along each axis
};

// The cells that are connected with `first` within kJoin cells, which are cleared.
std::vector<int64_t> take_component(Grid& grid, int64_t first) {
  std::vector<int64_t> cells = {first};
  grid.cells[static_cast<size_t>(first)] = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    const int64_t x = cells[i] % grid.width, y = cells[i] / grid.width;
    for (int64_t v = std::max<int64_t>(0, y - kJoin); v <= std::min(grid.height - 1, y + kJoin); ++v)
      for (int64_t u = std::max<int64_t>(0, x - kJoin); u <= std::min(grid.width - 1, x + kJoin); ++u) {
        const int64_t at = v * grid.width + u;
        if (grid.cells[static_cast<size_t>(at)] != 2) continue;
        grid.cells[static_cast<size_t>(at)] = 0;
        cells.push_back(at);
      }
  }
  return cells;
}

// Around the cells, one cell wider.
Crop box_around(const std::vector<int64_t>& cells, const Grid& grid, const Crop& picture) {
  int64_t left = grid.width, top = grid.height, right = 0, bottom = 0;
  for (const int64_t cell : cells) {
    left = std::min(left, cell % grid.width);
    right = std::max(right, cell % grid.width + 1);
    top = std::min(top, cell / grid.width);
    bottom = std::max(bottom, cell / grid.width + 1);
  }
  const int64_t x = std::max<int64_t>(0, (left - 1) * kCell), y = std::max<int64_t>(0, (top - 1) * kCell);
  const int64_t x_end = std::min(picture.width, (right + 1) * kCell);
  const int64_t y_end = std::min(picture.height, (bottom + 1) * kCell);
  return {picture.x + x, picture.y + y, x_end - x, y_end - y};
}

// A mark has edges of all directions. A camera that pans along a line leaves the line in its place.
bool has_both_directions(const std::vector<int64_t>& cells, const Grid& grid) {
  double across = 0, down = 0;
  for (const int64_t cell : cells) {
    across += grid.across[static_cast<size_t>(cell)];
    down += grid.down[static_cast<size_t>(cell)];
  }
  return std::min(across, down) >= kBothWays * (across + down);
}

bool near_rim(const Crop& box, const Crop& picture) {
  const double left = static_cast<double>(picture.x) + kRim * static_cast<double>(picture.width);
  const double right = static_cast<double>(picture.x) + (1 - kRim) * static_cast<double>(picture.width);
  const double top = static_cast<double>(picture.y) + kRim * static_cast<double>(picture.height);
  const double bottom = static_cast<double>(picture.y) + (1 - kRim) * static_cast<double>(picture.height);
  return static_cast<double>(box.x + box.width) <= left || static_cast<double>(box.x) >= right ||
         static_cast<double>(box.y + box.height) <= top || static_cast<double>(box.y) >= bottom;
}

}  // namespace

void MarkFinder::add(const LumaFrame& frame) {
  if (frames_++ == 0) {
    width_ = frame.width;
    height_ = frame.height;
    for (auto* sums : {&across_, &down_, &size_}) sums->assign(frame.luma.size(), 0);
  }
  for (int64_t y = 1; y + 1 < height_; ++y) {
    const uint8_t* row = frame.luma.data() + y * width_;
    const int64_t at = y * width_;
    for (int64_t x = 1; x + 1 < width_; ++x) {
      const auto u = static_cast<float>(row[x + 1] - row[x - 1]) / 2;
      const auto v = static_cast<float>(row[x + width_] - row[x - width_]) / 2;
      across_[static_cast<size_t>(at + x)] += u;
      down_[static_cast<size_t>(at + x)] += v;
      size_[static_cast<size_t>(at + x)] += std::sqrt(u * u + v * v);
    }
  }
}

void MarkFinder::add(const MarkFinder& other) {
  if (other.frames_ == 0) return;
  if (frames_++ == 0) {
    width_ = other.width_;
    height_ = other.height_;
    for (auto* sums : {&across_, &down_, &size_}) sums->assign(other.size_.size(), 0);
  }
  const float weight = 1 / static_cast<float>(other.frames_);
  for (size_t i = 0; i < size_.size(); ++i) {
    across_[i] += weight * other.across_[i];
    down_[i] += weight * other.down_[i];
    size_[i] += weight * other.size_[i];
  }
}

MarkFinder::Marks MarkFinder::marks(const Crop& picture) const {
  Grid grid = {picture.width / kCell, picture.height / kCell, {}, {}, {}};
  grid.cells.assign(static_cast<size_t>(grid.width * grid.height), 0);
  grid.across.assign(grid.cells.size(), 0);
  grid.down.assign(grid.cells.size(), 0);
  const double needed = std::max(kLeastStays, kChance / std::sqrt(static_cast<double>(std::max<int64_t>(1, frames_))));
  if (needed > kMostNeeded) return {};
  int64_t edged = 0, staying = 0;
  const auto frames = static_cast<float>(std::max<int64_t>(1, frames_));
  for (int64_t cell = 0; cell < grid.width * grid.height; ++cell) {
    int edges = 0, stay = 0;
    for (int64_t i = 0; i < kCell * kCell; ++i) {
      const int64_t x = cell % grid.width * kCell + i % kCell, y = cell / grid.width * kCell + i / kCell;
      if (std::min({x, y, picture.width - 1 - x, picture.height - 1 - y}) < kEdgeMargin) continue;
      const auto at = static_cast<size_t>((picture.y + y) * width_ + picture.x + x);
      if (size_[at] < kLeastEdge * frames) continue;
      ++edges;
      if (std::hypot(across_[at], down_[at]) < needed * size_[at]) continue;
      ++stay;
      grid.across[static_cast<size_t>(cell)] += std::abs(across_[at]);
      grid.down[static_cast<size_t>(cell)] += std::abs(down_[at]);
    }
    if (edges < kCellEdges) continue;
    const bool stays = 2 * stay >= edges;
    grid.cells[static_cast<size_t>(cell)] = stays ? 2 : 1;
    ++edged;
    staying += stays;
  }
  Marks found;
  found.moves = frames_ > 1 && edged >= kLeastEdged &&
                static_cast<double>(staying) <= kMostStaying * static_cast<double>(edged) &&
                static_cast<double>(staying) <= kMostPicture * static_cast<double>(grid.width * grid.height);
  if (!found.moves) return found;
  for (int64_t cell = 0; cell < grid.width * grid.height; ++cell) {
    if (grid.cells[static_cast<size_t>(cell)] != 2) continue;
    const std::vector<int64_t> cells = take_component(grid, cell);
    const Crop box = box_around(cells, grid, picture);
    if (static_cast<int64_t>(cells.size()) >= kLeastCells && near_rim(box, picture) && has_both_directions(cells, grid))
      found.boxes.push_back(box);
  }
  return found;
}

}  // namespace moga
