// Numbers of a shot's pictures. See picture_scores.h.
#include "moga/data/films/picture_scores.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace moga {
namespace {

constexpr int kBlock = 16, kReach = 8;
constexpr int kBlockPixels = kBlock * kBlock;
constexpr int kStepCost = kBlockPixels / 8;  // of a pixel of motion, so that noise is not taken for it
constexpr uint8_t kBlackLuma = 25, kDarkLuma = 4, kBrightLuma = 251;
constexpr double kBlackPart = 0.98, kStillChange = 1.0;
constexpr int kHashSide = 32, kHashTerms = 8;

int block_difference(const uint8_t* a, const uint8_t* b, int64_t stride) {
  int sum = 0;
  for (int y = 0; y < kBlock; ++y)
    for (int x = 0; x < kBlock; ++x) sum += std::abs(int{a[y * stride + x]} - int{b[y * stride + x]});
  return sum;
}

// Pixels that the block of `a` at (x, y) has moved in `b`; `still` is its difference without motion.
double block_motion(const LumaFrame& a, const LumaFrame& b, int64_t x, int64_t y, int still) {
  if (still <= kBlockPixels) return 0;
  const uint8_t* block = a.luma.data() + y * a.width + x;
  int best = still, best_squares = 0;
  for (int64_t v = std::max<int64_t>(0, y - kReach); v <= std::min(b.height - kBlock, y + kReach); ++v)
    for (int64_t u = std::max<int64_t>(0, x - kReach); u <= std::min(b.width - kBlock, x + kReach); ++u) {
      const int steps = static_cast<int>(std::abs(u - x) + std::abs(v - y));
      const int found = block_difference(block, b.luma.data() + v * b.width + u, a.width) + kStepCost * steps;
      if (found >= best) continue;
      best = found;
      best_squares = static_cast<int>((u - x) * (u - x) + (v - y) * (v - y));
    }
  return std::sqrt(static_cast<double>(best_squares));
}

double laplacian_variance(const LumaFrame& frame) {
  int64_t sum = 0, squares = 0;
  for (int64_t y = 1; y + 1 < frame.height; ++y) {
    const uint8_t* row = frame.luma.data() + y * frame.width;
    for (int64_t x = 1; x + 1 < frame.width; ++x) {
      const int value = row[x - 1] + row[x + 1] + row[x - frame.width] + row[x + frame.width] - 4 * row[x];
      sum += value;
      squares += value * value;
    }
  }
  const double count = static_cast<double>(std::max<int64_t>(1, (frame.height - 2) * (frame.width - 2)));
  const double mean = static_cast<double>(sum) / count;
  return static_cast<double>(squares) / count - mean * mean;
}

// The picture as means of 32 x 32 cells.
std::array<double, kHashSide * kHashSide> cell_means(const LumaFrame& frame) {
  std::array<double, kHashSide * kHashSide> cells{}, counts{};
  for (int64_t y = 0; y < frame.height; ++y)
    for (int64_t x = 0; x < frame.width; ++x) {
      const auto cell = static_cast<size_t>(y * kHashSide / frame.height * kHashSide + x * kHashSide / frame.width);
      cells[cell] += frame.luma[static_cast<size_t>(y * frame.width + x)];
      counts[cell] += 1;
    }
  for (size_t i = 0; i < cells.size(); ++i)
    if (counts[i] > 0) cells[i] /= counts[i];
  return cells;
}

double cosine(int frequency, int place) {
  return std::cos(3.14159265358979323846 * frequency * (2 * place + 1) / (2.0 * kHashSide));
}

}  // namespace

LumaFrame::LumaFrame(const uint8_t* rgb, int64_t columns, int64_t rows)
    : width(columns), height(rows), luma(static_cast<size_t>(columns * rows)) {
  for (size_t i = 0; i < luma.size(); ++i)
    luma[i] = static_cast<uint8_t>((77 * rgb[3 * i] + 150 * rgb[3 * i + 1] + 29 * rgb[3 * i + 2] + 128) >> 8);
}

FrameScores frame_scores(const LumaFrame& frame) {
  int64_t sum = 0, black = 0, dark = 0, bright = 0;
  for (const uint8_t value : frame.luma) {
    sum += value;
    black += value <= kBlackLuma;
    dark += value <= kDarkLuma;
    bright += value >= kBrightLuma;
  }
  const double pixels = static_cast<double>(frame.luma.size());
  return {static_cast<double>(sum) / pixels, static_cast<double>(dark) / pixels, static_cast<double>(bright) / pixels,
          laplacian_variance(frame), static_cast<double>(black) >= kBlackPart * pixels};
}

PairScores pair_scores(const LumaFrame& a, const LumaFrame& b) {
  PairScores scores;
  int64_t blocks = 0;
  for (int64_t y = 0; y + kBlock <= a.height; y += kBlock)
    for (int64_t x = 0; x + kBlock <= a.width; x += kBlock) {
      const int64_t at = y * a.width + x;
      const int still = block_difference(a.luma.data() + at, b.luma.data() + at, a.width);
      scores.change = std::max(scores.change, static_cast<double>(still) / kBlockPixels);
      scores.motion += block_motion(a, b, x, y, still);
      ++blocks;
    }
  scores.motion /= static_cast<double>(std::max<int64_t>(1, blocks));
  return scores;
}

uint64_t picture_hash(const LumaFrame& frame) {
  const auto cells = cell_means(frame);
  std::array<double, kHashTerms * kHashTerms> terms{};  // frequencies 1 to 8: the mean of the picture is not in them
  for (int v = 0; v < kHashTerms; ++v)
    for (int y = 0; y < kHashSide; ++y) {
      const double along = cosine(v + 1, y);
      for (int u = 0; u < kHashTerms; ++u)
        for (int x = 0; x < kHashSide; ++x)
          terms[static_cast<size_t>(v) * kHashTerms + static_cast<size_t>(u)] +=
              along * cosine(u + 1, x) * cells[static_cast<size_t>(y) * kHashSide + static_cast<size_t>(x)];
    }
  auto sorted = terms;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  uint64_t hash = 0;
  for (const double term : terms) hash = hash << 1 | (term > sorted[sorted.size() / 2]);
  return hash;
}

void ShotScores::add(LumaFrame frame, double time) {
  const FrameScores scores = frame_scores(frame);
  const double seconds = time - last_time_;
  luma_ += scores.luma;
  dark_ += scores.dark;
  bright_ += scores.bright;
  black_ += scores.black;
  if (!scores.black) sharpness_ += scores.sharpness;
  if (frames_ > 0 && seconds > 0) {
    const PairScores pair = pair_scores(last_, frame);
    const bool still = pair.change <= kStillChange;
    ++pairs_;
    still_ += still;
    motion_ += 100 * pair.motion / static_cast<double>(frame.height) / seconds;
    still_run_ = still ? still_run_ + seconds : 0;
    black_run_ = scores.black ? black_run_ + seconds : 0;
    longest_still_ = std::max(longest_still_, still_run_);
    longest_black_ = std::max(longest_black_, black_run_);
  }
  ++frames_;
  last_time_ = time;
  last_ = std::move(frame);
}

}  // namespace moga
