// Cuts by arithmetic on reduced frames. See content_cuts.h.
#include "moga/data/cuts/content_cuts.h"

#include <algorithm>
#include <cmath>

namespace moga {
namespace {

constexpr int64_t kLengths[] = {3, 4, 6, 9, 13, 19, 28, 42, 63};  // of windows around gradual transitions
constexpr int64_t kMargin = 3;                                    // frames outside a window, where α stands still
constexpr int64_t kAround = 8, kFlash = 10;
constexpr int64_t kWhip = 4;  // so many large changes, at most so many frames away: the camera is thrown round
constexpr int64_t kAhead = kLengths[std::size(kLengths) - 1] + kMargin + 1;
constexpr int64_t kBehind = 48;       // frames kept before the one being decided
constexpr double kStill = 0.1;        // how far α may drift outside the window
constexpr double kEdge = 0.06;        // α of the frames that still belong to a shot
constexpr double kLargestStep = 0.6;  // of α between two frames; a hard cut has 1
constexpr double kLeastEnergy = 60;   // mean square between the two ends
constexpr double kLeastPath = 0.5;    // changes from frame to frame, together, compared with that between the ends
constexpr double kSamePicture = 0.8;  // correlation above which two ends are one scene in another light
constexpr float kBlackDeviation = 6;
constexpr float kDark = 24, kFadeStep = 0.5f;  // mean luma of the darkest frame of a fade; least change per frame

double dot(const ReducedFrame& a, const ReducedFrame& from, const ReducedFrame& b) {  // (a - from) · (b - from)
  float sum = 0;
  for (int i = 0; i < ReducedFrame::kMeans; ++i) sum += (a.means[i] - from.means[i]) * (b.means[i] - from.means[i]);
  return sum;
}

// Of the luma of two frames, which is high when only the light changed.
double correlation(const ReducedFrame& a, const ReducedFrame& b) {
  constexpr int kCells = ReducedFrame::kMeans / 3;
  double ab = 0, aa = 0, bb = 0;
  for (int i = 0; i < kCells; ++i) {
    const double u = a.means[i] - a.luma_mean, v = b.means[i] - b.luma_mean;
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  return ab / std::sqrt(std::max(aa * bb, 1e-9));
}

bool overlap(const Boundary& a, const Boundary& b) { return a.before < b.after && b.before < a.after; }

// Shots between two transitions are not as short as this.
bool close(const Boundary& a, const Boundary& b) {
  return a.before < b.after + kMargin && b.before < a.after + kMargin;
}

}  // namespace

void ContentCuts::add(const uint8_t* rgb) {
  ReducedFrame frame(rgb);
  const double change = entries_.empty() ? 0 : difference(entries_.back().frame, frame);
  entries_.push_back({frame, change});
  if (end() - decided_ > kAhead) decide(decided_++);
  while (first_ < decided_ - kBehind) {
    entries_.pop_front();
    ++first_;
  }
}

std::vector<Boundary> ContentCuts::finish() {
  while (decided_ < end()) decide(decided_++);
  std::vector<Boundary> all = gradual_;
  for (const Boundary& cut : hard_)
    if (std::none_of(gradual_.begin(), gradual_.end(), [&](const Boundary& other) { return overlap(cut, other); }))
      all.push_back(cut);
  std::sort(all.begin(), all.end(), [](const Boundary& a, const Boundary& b) { return a.before < b.before; });
  return all;
}

void ContentCuts::decide(int64_t frame) {
  decide_hard(frame);
  if (config_.gradual_threshold == 0) return;
  decide_gradual(frame);
  decide_fade(frame);
}

void ContentCuts::decide_hard(int64_t frame) {
  if (frame == 0) return;
  const double change = at(frame).change;
  if (change < config_.hard_threshold) return;
  double sum = 0;
  int64_t count = 0, large = 0;
  for (int64_t i = std::max(first_ + 1, frame - kAround); i < std::min(end(), frame + kAround + 1); ++i) {
    if (at(i).change > change && std::abs(i - frame) <= 2) return;  // not the largest
    if (i == frame || i < 1) continue;
    if (std::abs(i - frame) <= kWhip && at(i).change > 0.5 * change) ++large;
    sum += std::min(at(i).change, 0.5 * change);  // another cut nearby counts little
    ++count;
  }
  const double around = count > 0 ? sum / static_cast<double>(count) : 0;
  if (change < config_.hard_ratio * around || large >= kWhip || is_flash(frame)) return;
  hard_.push_back({frame - 1, frame, change, std::max(config_.hard_threshold, config_.hard_ratio * around)});
}

// The picture before `frame` returns soon after it, or the picture of `frame` was there shortly before.
bool ContentCuts::is_flash(int64_t frame) const {
  const double limit = 0.5 * at(frame).change;
  for (int64_t i = 1; i <= kFlash; ++i) {
    if (frame + i < end() && difference(at(frame - 1).frame, at(frame + i).frame) < limit) return true;
    if (frame - 1 - i >= first_ && difference(at(frame - 1 - i).frame, at(frame).frame) < limit) return true;
  }
  return false;
}

// Keeps the best of the windows that overlap.
void ContentCuts::decide_gradual(int64_t begin) {
  for (const int64_t length : kLengths) {
    if (begin + length >= end()) return;
    const auto found = fit(begin, begin + length);
    if (!found) continue;
    if (!gradual_.empty() && gradual_.back().before > found->before) continue;
    if (gradual_.empty() || !close(gradual_.back(), *found))
      gradual_.push_back(*found);
    else if (found->score < gradual_.back().score)
      gradual_.back() = *found;
  }
}

// A fade out and in with its darkest frame here: luma falls to it and rises from it step by step.
void ContentCuts::decide_fade(int64_t frame) {
  const auto luma = [&](int64_t i) { return at(i).frame.luma_mean; };
  if (luma(frame) > kDark) return;
  int64_t before = frame, after = frame;
  while (before > first_ && luma(before - 1) > luma(before) + kFadeStep) --before;
  while (after + 1 < end() && luma(after + 1) > luma(after) + kFadeStep) ++after;
  const float ends = std::min(luma(before), luma(after));
  if (frame - before < 2 || after - frame < 2 || ends < 3 * luma(frame) + 15) return;
  const Boundary fade = {before, after, luma(frame) / ends, 1.0 / 3};
  std::erase_if(gradual_, [&](const Boundary& other) { return overlap(other, fade); });
  gradual_.push_back(fade);
}

// The frames between the two ends as blends of them: α by least squares, and the relative error that remains.
std::optional<Boundary> ContentCuts::fit(int64_t begin, int64_t last) const {
  const ReducedFrame &a = at(begin).frame, &b = at(last).frame;
  const double energy = dot(b, a, b);
  if (energy / ReducedFrame::kMeans < kLeastEnergy) return {};
  if (begin < first_ + kMargin || last + kMargin >= end()) return {};
  const auto alpha = [&](int64_t frame) { return dot(at(frame).frame, a, b) / energy; };
  for (int64_t i = 1; i <= kMargin; ++i) {
    if (std::abs(alpha(begin - i)) > kStill || std::abs(alpha(last + i) - 1) > kStill) return {};
  }
  double error = 0, previous = 0, weight = 0;
  Boundary found = {begin, last, 0, config_.gradual_threshold};
  for (int64_t i = begin + 1; i <= last; ++i) {
    const double along = alpha(i);
    if (along - previous > kLargestStep || along - previous < -kStill) return {};
    const double rest = dot(at(i).frame, a, at(i).frame) / energy - along * along;
    const double mixed = std::clamp(4 * along * (1 - along), 0.0, 1.0);  // errors count where both are seen
    error += mixed * std::sqrt(std::max(0.0, rest));
    weight += mixed;
    if (along <= kEdge) found.before = i;
    if (along < 1 - kEdge) found.after = i + 1;
    previous = along;
  }
  found.score = weight > 0 ? error / weight : 1;
  if (found.score > config_.gradual_threshold || found.after - found.before < 2 || !differs(begin, last)) return {};
  return found;
}

// The two ends are different pictures, or one of them is blank. A camera that pans over smooth ground looks like a
// blend of its ends too, but then every frame is the one before it, moved.
bool ContentCuts::differs(int64_t begin, int64_t last) const {
  const ReducedFrame &a = at(begin).frame, &b = at(last).frame;
  if ((a.luma_deviation < kBlackDeviation) != (b.luma_deviation < kBlackDeviation)) return true;
  double path = 0;
  for (int64_t i = begin + 1; i <= last; ++i) path += at(i).change;
  const double change = difference(a, b);
  return correlation(a, b) < kSamePicture && change >= config_.hard_threshold && path >= kLeastPath * change;
}

}  // namespace moga
