// The balance loss against its formula and finite differences, and from the parts of several ranks.
#include "moga/attention/balance_loss.h"

#include <torch/types.h>

#include "moga/core/random.h"
#include "tests/support/error.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

const Layout kLayout{{{2, 2, 3, {}}, {1, 2, 4, {}}}};  // 12 + 8 tokens

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "balance_loss_test"), at::kDouble);
}

// A router whose parameters are the given tensors, so that gradients reach them.
Router router(const at::Tensor& weight, const at::Tensor& bias) {
  Router made(weight.size(1), weight.size(0));
  made->weight = weight;
  made->bias = bias;
  return made;
}

Routing route(const Tensors& x) { return router(x[1], x[2])->forward(x[0], kLayout); }

const Tensors kInputs{random({20, 4}, 1), random({3, 4}, 2), random({3}, 3)};  // x, weight, bias

TEST(BalanceLoss, GradientEqualsFiniteDifferences) {
  for (const BalanceForm form : {BalanceForm::kSwitch, BalanceForm::kPaper})
    EXPECT_TRUE(gradcheck([&](const Tensors& x) { return balance_loss(route(x), kLayout, form); }, kInputs))
        << name_of(form);
}

TEST(BalanceLoss, EqualsItsFormula) {
  const Layout layout{{{20, 1, 1, {}}}};
  const Routing routing = router(kInputs[1], kInputs[2])->forward(kInputs[0], layout);
  double switched = 0, paper = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor mine = (routing.group == i).to(at::kDouble), p = routing.probabilities.select(1, i);
    switched += 3 * mine.mean().item<double>() * p.mean().item<double>();
    paper += 3 * mine.mean().item<double>() * (mine * p).mean().item<double>();
  }
  EXPECT_NEAR(balance_loss(routing, layout, BalanceForm::kSwitch).item<double>(), switched, 1e-12);
  EXPECT_NEAR(balance_loss(routing, layout, BalanceForm::kPaper).item<double>(), paper, 1e-12);
}

TEST(BalanceLoss, IsOneAtBalanceAndMWhenAllTokensShareAGroup) {
  const at::Tensor one_hot = at::eye(4).repeat({5, 1}) * 100;
  const auto loss = [&](const at::Tensor& x) {
    return balance_loss(router(at::eye(4), at::zeros({4}))->forward(x, kLayout), kLayout).item<double>();
  };
  EXPECT_NEAR(loss(one_hot), 1.0, 1e-6);
  EXPECT_NEAR(loss(one_hot[2].expand({20, 4})), 4.0, 1e-6);
}

TEST(BalanceLoss, OfABatchIsTheMeanOfItsVideos) {
  for (const BalanceForm form : {BalanceForm::kSwitch, BalanceForm::kPaper}) {
    double mean = 0;
    const auto offsets = kLayout.video_offsets();
    for (size_t b = 0; b < 2; ++b) {
      const Layout single{{kLayout.videos[b]}};
      const at::Tensor x = kInputs[0].slice(0, offsets[b], offsets[b + 1]);
      mean += balance_loss(router(kInputs[1], kInputs[2])->forward(x, single), single, form).item<double>() / 2;
    }
    EXPECT_NEAR(balance_loss(route(kInputs), kLayout, form).item<double>(), mean, 1e-12) << name_of(form);
  }
}

TEST(BalanceLoss, CountsTokensOfEachVideoAndGroup) {
  const Routing routing = route(kInputs);
  const at::Tensor histogram = group_histogram(routing, kLayout);
  EXPECT_TRUE(at::equal(histogram[0], at::bincount(routing.group.slice(0, 0, 12), {}, 3)));
  EXPECT_TRUE(at::equal(histogram[1], at::bincount(routing.group.slice(0, 12), {}, 3)));
}

// Two ranks, cut anywhere: at 4 the second has 8 of the first video's 12 tokens and the 8 tokens of the other.
TEST(BalanceLoss, PartsOfRanksAddUpToTheWhole) {
  Router made = router(kInputs[1], kInputs[2]);
  const Routing routing = made->forward(kInputs[0], kLayout);
  const Segments videos = video_segments(kLayout);
  const auto part = [&](int64_t first, int64_t rows, BalanceForm form) {
    const TokenScores scores = made->score(kInputs[0].narrow(0, first, rows));
    return partial_probabilities(scores, slice_of(videos, first, rows), kLayout, form);
  };
  for (const BalanceForm form : {BalanceForm::kSwitch, BalanceForm::kPaper})
    for (int64_t cut = 1; cut < 20; ++cut) {
      const at::Tensor sum = part(0, cut, form) + part(cut, 20 - cut, form);
      const at::Tensor loss = balance_loss(BalanceTerms{group_histogram(routing, kLayout), sum}, kLayout);
      EXPECT_TRUE(close(loss, balance_loss(routing, kLayout, form), 1e-13)) << name_of(form) << ", cut at " << cut;
    }
}

TEST(BalanceLoss, RefusesTermsOfAnotherLayout) {
  const at::Tensor one = at::ones({1, 3});
  EXPECT_NE(error_of([&] {
              balance_loss(BalanceTerms{one, one}, kLayout);
            }).find("expected [2, M] twice"),
            std::string::npos);
}

}  // namespace
}  // namespace moga::test
