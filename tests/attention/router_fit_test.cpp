// Routers from balanced k-means: they find clusters, balance what is not balanced, in every set of rows, and their gate
// has the mean that was asked for.
#include "moga/attention/router_fit.h"

#include <torch/types.h>

#include "moga/attention/visual_attention.h"
#include "moga/core/random.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga::test {
namespace {

constexpr int64_t kWidth = 24;

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "router_fit_test"));
}

// Rows around `centres` [M, C], row n around centre n mod M.
at::Tensor clustered(const at::Tensor& centres, int64_t rows, double noise, uint64_t seed) {
  const at::Tensor group = at::arange(rows, at::kLong).remainder(centres.size(0));
  return centres.index_select(0, group) + noise * random({rows, centres.size(1)}, seed);
}

Routing route(const RouterWeights& weights, const at::Tensor& x) {
  Router router(x.size(1), weights.weight.size(0));
  router->weight = weights.weight;
  router->bias = weights.bias;
  return router->forward(x, {{{x.size(0), 1, 1, {}}}});
}

// Rows per group over all rows: [M]
at::Tensor shares(const RouterWeights& weights, const at::Tensor& x) {
  return route(weights, x).grouping.query.offsets.diff().to(at::kDouble) / x.size(0);
}

TEST(RouterFit, FindsTheClusters) {
  for (const FitMetric metric : {FitMetric::kSpherical, FitMetric::kEuclidean}) {
    const at::Tensor x = clustered(3 * random({4, kWidth}, 1), 400, 0.3, 2) + 1.0;
    const at::Tensor group = route(fit_router(x, 1, 4, {.metric = metric}), x).group.view({100, 4});
    EXPECT_TRUE(at::equal(group, group[0].expand_as(group))) << name_of(metric);  // each cluster is one group
    EXPECT_EQ(std::get<0>(at::_unique(group[0])).numel(), 4) << name_of(metric);
  }
}

TEST(RouterFit, BalancesWhatIsNot) {
  // Nine of ten rows in one cluster.
  const at::Tensor centres = 2 * random({2, kWidth}, 3);
  const at::Tensor x = at::cat({clustered(centres.slice(0, 0, 1), 900, 1.0, 4), clustered(centres, 100, 1.0, 5)});
  for (const FitMetric metric : {FitMetric::kSpherical, FitMetric::kEuclidean}) {
    const at::Tensor share = shares(fit_router(x, 1, 5, {.metric = metric}), x);
    EXPECT_LT((share - 0.2).abs().max().item<double>(), 0.02) << name_of(metric) << share;
  }
}

TEST(RouterFit, BalancesEverySet) {
  // Two timesteps that differ far more than the tokens of one.
  const at::Tensor tokens = clustered(random({3, kWidth}, 6), 1500, 0.5, 7), shift = 10 * random({kWidth}, 8);
  const at::Tensor x = at::cat({tokens, tokens + shift});
  const RouterWeights weights = fit_router(x, 2, 3, {});
  for (const at::Tensor& set : {tokens, at::Tensor(tokens + shift)})
    EXPECT_LT((shares(weights, set) - 1.0 / 3).abs().max().item<double>(), 0.03);
}

TEST(RouterFit, SpreadGroupsAreFairSamplesOfTheClusters) {
  const at::Tensor x = clustered(2 * random({2, kWidth}, 17), 2000, 1.0, 18);
  const at::Tensor group = route(fit_router(x, 1, 4, {.metric = FitMetric::kSpread}), x).group.view({1000, 2});
  for (int64_t g = 0; g < 4; ++g) {
    const at::Tensor share = (group == g).to(at::kDouble).mean(0);       // of each cluster
    EXPECT_LT((share - 0.25).abs().max().item<double>(), 0.2) << share;  // k-means: all of one, none of the other
  }
}

TEST(RouterFit, LikenessIsThatOfTheEmbedding) {
  // Two clusterings of the same rows: a strong one in the first half of the width, a weak one in the second.
  const at::Tensor n = at::arange(800, at::kLong), weak = n.remainder(2), strong = at::div(n, 2, "floor").remainder(2);
  const at::Tensor x =
      at::cat({5 * random({2, 12}, 19).index_select(0, strong), random({2, 12}, 20).index_select(0, weak)}, 1) +
      0.1 * random({800, kWidth}, 21);
  const at::Tensor embedding = at::eye(kWidth).slice(1, 12);
  const auto follows = [&](const at::Tensor& group, const at::Tensor& label) {
    return (group == label).all().item<bool>() || (group == 1 - label).all().item<bool>();
  };
  EXPECT_TRUE(follows(route(fit_router(x, 1, 2, {}), x).group, strong));
  EXPECT_TRUE(follows(route(fit_router(x, 1, 2, {}, embedding), x).group, weak));
}

TEST(RouterFit, TheGateHasTheMeanAskedFor) {
  const at::Tensor x = random({600, kWidth}, 9);
  for (const double confidence : {0.5, 0.9})
    for (const FitMetric metric : {FitMetric::kSpherical, FitMetric::kEuclidean}) {
      const Routing routing = route(fit_router(x, 1, 5, {.metric = metric, .confidence = confidence}), x);
      EXPECT_NEAR(routing.gate.mean().item<double>(), confidence, 1e-3) << name_of(metric);
    }
}

// Relative error of MoGA's attention against full attention over tokens x [N, C] that attend to their like.
double attention_error(const RouterWeights& weights, const at::Tensor& x, Combine combine) {
  const Layout layout{{{x.size(0) / 24, 4, 6, {}}}};
  VisualAttentionConfig config;
  config.combine = combine;
  config.windows.run_frames = 4;
  const StaticGroupings groupings = static_groupings(layout, config, at::kCPU);
  const at::Tensor q = x.view({x.size(0), 2, kWidth / 2}), v = random(q.sizes(), 12) + q;
  const Routing routing = route(weights, x);
  const at::Tensor full = visual_attention(q, q, v, nullptr, groupings, config.with_kind(AttentionKind::kFull));
  return difference(visual_attention(q, q, v, &routing, groupings, config), full).relative;
}

TEST(RouterFit, ComesNearerToFullAttentionThanARandomRouterAndLseThanTheMean) {
  const at::Tensor centres = 2 * random({4, kWidth}, 13), x = clustered(centres, 480, 0.5, 14);
  const RouterWeights fitted = fit_router(clustered(centres, 400, 0.5, 15), 1, 4, {});  // of other tokens
  const RouterWeights fresh{0.02 * random({4, kWidth}, 16), at::zeros({4})};
  EXPECT_LT(attention_error(fitted, x, Combine::kMean), 0.8 * attention_error(fresh, x, Combine::kMean));
  EXPECT_LT(attention_error(fitted, x, Combine::kLse), 0.8 * attention_error(fresh, x, Combine::kLse));
  for (const RouterWeights& weights : {fitted, fresh})
    EXPECT_LT(attention_error(weights, x, Combine::kLse), 0.8 * attention_error(weights, x, Combine::kMean));
  const auto imbalance = [&](const RouterWeights& weights) { return (shares(weights, x) - 0.25).abs().max(); };
  EXPECT_LT(imbalance(fitted).item<double>(), 0.5 * imbalance(fresh).item<double>());
}

TEST(RouterFit, IsGivenByItsSeedAndTakesOneGroup) {
  const at::Tensor x = random({200, kWidth}, 10).to(at::kBFloat16);
  EXPECT_TRUE(at::equal(fit_router(x, 2, 3, {.seed = 1}).weight, fit_router(x, 2, 3, {.seed = 1}).weight));
  EXPECT_TRUE(fit_router(x, 1, 1, {}).weight.isfinite().all().item<bool>());
  const at::Tensor alike = at::ones({50, kWidth});
  EXPECT_TRUE(fit_router(alike, 1, 3, {}).bias.isfinite().all().item<bool>());
}

TEST(RouterFit, SaysWhatDoesNotFit) {
  const at::Tensor x = random({10, kWidth}, 11);
  const auto error = [&](int64_t sets, int64_t groups, const RouterFitConfig& config) {
    return error_of([&] { fit_router(x, sets, groups, config); });
  };
  EXPECT_EQ(error(3, 2, {}), "router fit: x is [10, 24], expected rows of 3 sets of one size");
  EXPECT_EQ(error(1, 11, {}), "router fit: 10 rows for 11 groups, expected at least one row per group");
  EXPECT_EQ(error(1, 0, {}), "router fit: 10 rows for 0 groups, expected at least one row per group");
  EXPECT_EQ(error(1, 2, {.confidence = 1.0}), "confidence = 1, expected a number between 0 and 1");
}

}  // namespace
}  // namespace moga::test
