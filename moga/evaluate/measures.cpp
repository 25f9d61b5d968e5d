// See measures.h.
#include "moga/evaluate/measures.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "moga/core/check.h"

namespace moga {
namespace {

double similarity(const at::Tensor& a, const at::Tensor& b) { return std::max(0.0, at::dot(a, b).item<double>()); }

// The least sum of |expected - found| over min(n, m) pairs. Both rise, so a best pairing keeps the order.
double least_deviation(const std::vector<int64_t>& expected, const std::vector<int64_t>& found) {
  const auto& few = expected.size() <= found.size() ? expected : found;
  const auto& many = expected.size() <= found.size() ? found : expected;
  // best[j]: the first i of `few` have partners among the first j of `many`.
  std::vector<double> best(many.size() + 1, 0);
  for (size_t i = 1; i <= few.size(); ++i) {
    std::vector<double> next(many.size() + 1, std::numeric_limits<double>::infinity());
    for (size_t j = i; j <= many.size(); ++j)
      next[j] = std::min(next[j - 1], best[j - 1] + std::abs(static_cast<double>(few[i - 1] - many[j - 1])));
    best = std::move(next);
  }
  return best.back();
}

}  // namespace

void Consistency::add(const at::Tensor& feature, int64_t shot) {
  const auto shots = static_cast<int64_t>(firsts_.size());
  check(shot == shots || shot == shots - 1, "consistency: shot ", shot, " follows shot ", shots - 1);
  const bool begins = shot == shots;
  if (shots > 0) {
    const double before = similarity(lasts_.back(), feature);
    sum_ += (similarity(firsts_.front(), feature) + before) / 2;
    ++frames_;
    if (begins) {
      at_cuts_ += before;
    } else {
      within_sum_ += (similarity(firsts_.back(), feature) + before) / 2;
      ++within_frames_;
    }
  }
  if (begins) {
    firsts_.push_back(feature.clone());
    lasts_.push_back(feature.clone());
  } else {
    lasts_.back() = feature.clone();
  }
}

std::optional<double> Consistency::film() const {
  if (frames_ == 0) return std::nullopt;
  return sum_ / static_cast<double>(frames_);
}

std::optional<double> Consistency::within_shots() const {
  if (within_frames_ == 0) return std::nullopt;
  return within_sum_ / static_cast<double>(within_frames_);
}

std::optional<double> Consistency::shuffled_shots() const {
  const size_t shots = firsts_.size();
  if (shots < 2) return std::nullopt;
  // Over all orders, each of the shots after the first follows each other shot equally often.
  double pairs = 0;
  for (size_t last = 0; last < shots; ++last)
    for (size_t first = 1; first < shots; ++first)
      if (first != last) pairs += similarity(lasts_[last], firsts_[first]);
  const double at_cuts = pairs / static_cast<double>(shots - 1);
  return (sum_ + (at_cuts - at_cuts_) / 2) / static_cast<double>(frames_);
}

void ShotMeans::add(const at::Tensor& feature, int64_t shot) {
  check(shot >= 0, "mean of a shot: shot ", shot);
  const auto place = static_cast<size_t>(shot);
  while (sums_.size() <= place) {
    sums_.push_back(at::zeros_like(feature, at::kDouble));
    counts_.push_back(0);
  }
  sums_[place] += feature;
  ++counts_[place];
}

bool ShotMeans::complete(int64_t shots) const {
  return shots > 0 && this->shots() == shots && std::ranges::count(counts_, 0) == 0;
}

at::Tensor ShotMeans::means() const {
  check(complete(shots()), "mean of a shot: a shot has no frame");
  return at::stack(sums_) / at::tensor(counts_, at::kDouble).unsqueeze(1);
}

bool is_sample(int64_t frame, int64_t frames, int64_t samples) {
  if (samples >= frames) return true;
  for (int64_t i = 0; i < samples; ++i)
    if ((2 * i + 1) * frames / (2 * samples) == frame) return true;
  return false;
}

std::optional<double> cross_shot(const at::Tensor& means) {
  const int64_t shots = means.size(0);
  if (shots < 2) return std::nullopt;
  const at::Tensor products = at::matmul(means, means.t()).triu(1);
  return products.sum().item<double>() / static_cast<double>(shots * (shots - 1) / 2);
}

Alignment text_alignment(const at::Tensor& means, const at::Tensor& captions) {
  check(means.sizes() == captions.sizes(), "alignment: features of shots ", means.sizes(), " and of captions ",
        captions.sizes());
  const int64_t shots = means.size(0);
  const at::Tensor products = at::matmul(means, captions.to(at::kDouble).t());
  const double own = products.diagonal().sum().item<double>();
  Alignment result{.value = own / static_cast<double>(shots), .shuffled = {}};
  if (shots > 1) result.shuffled = (products.sum().item<double>() - own) / static_cast<double>(shots * (shots - 1));
  return result;
}

CutScore score_film_cuts(const std::vector<int64_t>& expected, const std::vector<int64_t>& found, int64_t frames) {
  check(frames > 0, "cut accuracy: a film without frames");
  CutScore score;
  score.expected = static_cast<int64_t>(expected.size());
  score.found = static_cast<int64_t>(found.size());
  score.missed = std::max<int64_t>(0, score.expected - score.found);
  score.extra = std::max<int64_t>(0, score.found - score.expected);
  const double length = static_cast<double>(frames), deviation = least_deviation(expected, found);
  const double penalty = length / static_cast<double>(score.expected + 1);
  const int64_t pairs = std::min(score.expected, score.found);
  if (pairs > 0) score.deviation = deviation / static_cast<double>(pairs);
  score.accuracy = std::exp(-(deviation + penalty * static_cast<double>(score.missed + score.extra)) / length);
  return score;
}

}  // namespace moga
