// The measures' formulas: VBench's against its own, the others on films with known values.
#include "moga/evaluate/measures.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "moga/core/safetensors.h"

namespace moga {
namespace {

const std::filesystem::path kMeasureFilms = MOGA_FILM_FIXTURES;

at::Tensor units(const at::Tensor& rows) { return rows / rows.norm(2, {1}, true); }

Consistency consistency(const at::Tensor& features, const std::vector<int64_t>& shots) {
  Consistency result;
  for (int64_t i = 0; i < features.size(0); ++i) result.add(features[i], shots[static_cast<size_t>(i)]);
  return result;
}

TEST(Consistency, EqualsVBench) {
  const Safetensors file(kMeasureFilms / "films.safetensors");
  const auto numbers = nlohmann::json::parse(file.metadata().at("numbers"));
  const at::Tensor features = units(file.load("measure.features"));
  const Consistency measured = consistency(features, std::vector<int64_t>(24, 0));
  EXPECT_NEAR(*measured.film(), numbers["consistency"].get<double>(), 1e-6);
  EXPECT_NEAR(measured.sum() / 23, *measured.film(), 1e-12);
  EXPECT_EQ(*measured.within_shots(), *measured.film());
  EXPECT_FALSE(measured.shuffled_shots());
}

TEST(Consistency, OfOneFrameIsNone) {
  EXPECT_FALSE(consistency(at::ones({1, 1}), {0}).film());
  EXPECT_EQ(*consistency(at::ones({3, 1}), {0, 0, 0}).film(), 1.0);
}

// Two shots of equal frames at a right angle: across the cut 0, within the shots 1.
TEST(Consistency, WithinShotsDoesNotCompareAcrossACut) {
  const at::Tensor features = at::tensor({1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 1.0f, 0.0f, 1.0f}).view({4, 2});
  const Consistency measured = consistency(features, {0, 0, 1, 1});
  EXPECT_EQ(*measured.within_shots(), 1.0);
  EXPECT_NEAR(*measured.film(), (1.0 + 0.0 + 0.5) / 3, 1e-7);
}

// Against all six orders of the last three shots.
TEST(Consistency, ShuffledShotsAreTheMeanOverOrders) {
  const at::Tensor features = units(at::randn({12, 5}));
  const std::vector<int64_t> shots = {0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3}, begins = {0, 2, 5, 9, 12};
  std::vector<int64_t> order = {1, 2, 3};
  double sum = 0;
  do {
    std::vector<at::Tensor> parts = {features.slice(0, 0, 2)};
    for (const int64_t shot : order) parts.push_back(features.slice(0, begins[shot], begins[shot + 1]));
    sum += *consistency(at::cat(parts), std::vector<int64_t>(12, 0)).film();
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_NEAR(*consistency(features, shots).shuffled_shots(), sum / 6, 1e-6);
}

TEST(CrossShot, IsTheMeanOverPairsOfFrames) {
  const at::Tensor features = units(at::randn({6, 4})).to(at::kDouble);
  ShotMeans shots;
  for (int64_t i = 0; i < 6; ++i) shots.add(features[i], i / 2);
  ASSERT_TRUE(shots.complete(3));
  double sum = 0;
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = i + 1; j < 6; ++j)
      if (i / 2 != j / 2) sum += at::dot(features[i], features[j]).item<double>();
  EXPECT_NEAR(*cross_shot(shots.means()), sum / 12, 1e-9);
  EXPECT_FALSE(cross_shot(shots.means().narrow(0, 0, 1)));
  EXPECT_FALSE(shots.complete(4));
}

TEST(CrossShot, SamplesAreEvenlySpaced) {
  const auto samples = [](int64_t frames, int64_t count) {
    std::vector<int64_t> found;
    for (int64_t i = 0; i < frames; ++i)
      if (is_sample(i, frames, count)) found.push_back(i);
    return found;
  };
  EXPECT_EQ(samples(10, 1), (std::vector<int64_t>{5}));
  EXPECT_EQ(samples(33, 3), (std::vector<int64_t>{5, 16, 27}));
  EXPECT_EQ(samples(2, 3), (std::vector<int64_t>{0, 1}));
  for (int64_t frames = 1; frames < 40; ++frames)
    EXPECT_EQ(samples(frames, 7).size(), static_cast<size_t>(std::min<int64_t>(7, frames)));
}

TEST(TextAlignment, OwnCaptionsAndThoseOfOtherShots) {
  const at::Tensor means = at::tensor({1.0, 0.0, 0.0, 1.0}).view({2, 2});
  const at::Tensor captions = at::tensor({0.6, 0.8, 0.0, 1.0}).view({2, 2});
  const Alignment alignment = text_alignment(means, captions);
  EXPECT_NEAR(alignment.value, (0.6 + 1.0) / 2, 1e-12);
  EXPECT_NEAR(*alignment.shuffled, (0.0 + 0.8) / 2, 1e-12);
  EXPECT_FALSE(text_alignment(means.narrow(0, 0, 1), captions.narrow(0, 0, 1)).shuffled);
}

TEST(CutScore, IsOneForTheSameCuts) {
  const CutScore score = score_film_cuts({33, 65}, {33, 65}, 97);
  EXPECT_EQ(score.accuracy, 1.0);
  EXPECT_EQ(*score.deviation, 0.0);
  EXPECT_EQ(score_film_cuts({}, {}, 97).accuracy, 1.0);
}

// exp(-(deviations + 97 / 3 per cut without a partner) / 97).
TEST(CutScore, CountsDeviationsAndCutsWithoutPartner) {
  const CutScore late = score_film_cuts({33, 65}, {35, 64}, 97);
  EXPECT_NEAR(late.accuracy, std::exp(-3.0 / 97), 1e-12);
  EXPECT_EQ(*late.deviation, 1.5);
  const CutScore missed = score_film_cuts({33, 65}, {66}, 97);
  EXPECT_NEAR(missed.accuracy, std::exp(-(1 + 97.0 / 3) / 97), 1e-12);
  EXPECT_EQ(missed.missed, 1);
  EXPECT_EQ(missed.extra, 0);
  const CutScore extra = score_film_cuts({33}, {10, 33, 90}, 97);
  EXPECT_NEAR(extra.accuracy, std::exp(-2 * (97.0 / 2) / 97), 1e-12);
  EXPECT_EQ(extra.extra, 2);
  const CutScore none = score_film_cuts({33, 65}, {}, 97);
  EXPECT_NEAR(none.accuracy, std::exp(-2.0 / 3), 1e-12);
  EXPECT_FALSE(none.deviation);
}

// Against every way to pair three expected cuts with three of five found ones.
TEST(CutScore, PairsWithTheLeastDeviation) {
  const std::vector<int64_t> expected = {20, 41, 80}, found = {5, 19, 44, 60, 95};
  double least = 1e9;
  std::vector<int64_t> chosen = {0, 0, 1, 1, 1};
  do {
    double sum = 0;
    size_t next = 0;
    for (size_t i = 0; i < 5; ++i)
      if (chosen[i]) sum += std::abs(static_cast<double>(expected[next++] - found[i]));
    least = std::min(least, sum);
  } while (std::next_permutation(chosen.begin(), chosen.end()));
  EXPECT_NEAR(*score_film_cuts(expected, found, 100).deviation * 3, least, 1e-9);
}

}  // namespace
}  // namespace moga
