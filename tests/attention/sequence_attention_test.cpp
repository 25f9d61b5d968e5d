// Visual attention and balance loss on 2 and 4 processes against one process: outputs, and gradients of q, k, v and of
// the router's weight, for every combination of branches that a model uses.
#include "moga/attention/sequence_attention.h"
#include "moga/attention/attention_memory.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/attention/attention_memory.h"
#include "moga/core/random.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

constexpr int64_t kHeads = 6, kSize = 4, kWidth = 8;
const Layout kLayout{{{5, 4, 6, {2, 3}}, {4, 5, 3, {}}, {1, 5, 3, {}}}};

at::Tensor random(at::IntArrayRef shape, const char* name) {
  return at::randn(shape, random_stream(3, name), at::kDouble);
}

std::vector<VisualAttentionConfig> configs() {
  VisualAttentionConfig mean;
  mean.groups = 3;
  mean.windows.run_frames = 2;
  VisualAttentionConfig one_softmax = mean, no_gate = mean, paper = mean;
  one_softmax.combine = Combine::kLse;
  no_gate.gate = Gate::kNone;
  paper.balance = BalanceForm::kPaper;
  paper.gate = Gate::kStraightThrough;
  return {mean, one_softmax, no_gate, paper, mean.with_kind(AttentionKind::kFull)};
}

struct Leaves {
  at::Tensor x, q, k, v, weight, bias;
};

// The rows of this rank; parameters are whole on every rank.
Leaves leaves(int64_t begin, int64_t rows) {
  const auto leaf = [](const at::Tensor& t) { return t.clone().requires_grad_(); };
  const auto slice = [&](at::IntArrayRef tail, const char* name) {
    std::vector<int64_t> shape{kLayout.tokens()};
    shape.insert(shape.end(), tail.begin(), tail.end());
    return leaf(random(shape, name).narrow(0, begin, rows));
  };
  return {slice({kWidth}, "x"),        slice({kHeads, kSize}, "q"),         slice({kHeads, kSize}, "k"),
          slice({kHeads, kSize}, "v"), leaf(random({3, kWidth}, "weight")), leaf(random({3}, "bias"))};
}

Router router_of(const Leaves& of, Gate gate) {
  Router router(kWidth, 3, gate);
  router->weight = of.weight;
  router->bias = of.bias;
  return router;
}

// Output, balance loss (0 without a router) and the gradients of a loss of both: q, k, v, x, weight, bias.
std::vector<at::Tensor> results_of(const Leaves& of, int64_t begin, const at::Tensor& output,
                                   const at::Tensor& balance) {
  const at::Tensor grad = random({kLayout.tokens(), kHeads, kSize}, "grad").narrow(0, begin, output.size(0));
  const at::Tensor loss = (output * grad).sum() + balance;
  const auto gradients = torch::autograd::grad({loss}, {of.q, of.k, of.v, of.x, of.weight, of.bias}, {},
                                               /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
  std::vector<at::Tensor> results{output.detach(), balance.detach()};
  for (const at::Tensor& gradient : gradients) results.push_back(gradient.defined() ? gradient : at::zeros({1}));
  return results;
}

std::vector<at::Tensor> on_one_process(const VisualAttentionConfig& config) {
  const Leaves of = leaves(0, kLayout.tokens());
  const StaticGroupings groupings = static_groupings(kLayout, config, at::kCPU);
  if (!config.uses_router())
    return results_of(of, 0, visual_attention(of.q, of.k, of.v, nullptr, groupings, config),
                      at::zeros({}, at::kDouble));
  const Routing routing = router_of(of, config.gate)->forward(of.x, kLayout);
  return results_of(of, 0, visual_attention(of.q, of.k, of.v, &routing, groupings, config),
                    balance_loss(routing, kLayout, config.balance));
}

std::vector<at::Tensor> on_ranks(const SequenceAttention& spread, const VisualAttentionConfig& config) {
  const Leaves of = leaves(spread.first_row(), spread.rows());
  if (!config.uses_router())
    return results_of(of, spread.first_row(), spread.forward(of.q, of.k, of.v, nullptr, config),
                      at::zeros({}, at::kDouble));
  const SliceRouting routing = spread.route(router_of(of, config.gate)->score(of.x));
  return results_of(of, spread.first_row(), spread.forward(of.q, of.k, of.v, &routing, config),
                    spread.balance(routing, config.balance));
}

MOGA_RANKS(spread_visual_attention) {
  const std::vector<int64_t> slices = sequence_slices(kLayout, world.size());
  for (const VisualAttentionConfig& config : configs()) {
    const SequenceAttention spread(world, kLayout, kHeads, slices, config, at::kCPU);
    const auto expected = on_one_process(config), actual = on_ranks(spread, config);
    for (size_t i = 0; i < expected.size(); ++i) {
      const bool of_rows = expected[i].dim() > 0 && expected[i].size(0) == kLayout.tokens();
      at::Tensor own = actual[i].clone();
      if (i >= 6) world.all_reduce(own);  // parameters
      const auto same =
          close(own, of_rows ? expected[i].narrow(0, spread.first_row(), spread.rows()) : expected[i], 1e-11);
      check(static_cast<bool>(same), "result ", i, ", gate ", name_of(config.gate), ", combine ",
            name_of(config.combine), ": ", same.message());
    }
  }
}

// A block that recomputes runs the exchange again and takes the attention of its shares from the memory.
MOGA_RANKS(recomputed) {
  const VisualAttentionConfig config = configs()[0];
  const SequenceAttention spread(world, kLayout, kHeads, sequence_slices(kLayout, world.size()), config, at::kCPU);
  const Leaves wide = leaves(spread.first_row(), spread.rows());
  const at::Tensor q = wide.q.to(at::kFloat), k = wide.k.to(at::kFloat), v = wide.v.to(at::kFloat);
  const SliceRouting routing = spread.route(router_of(wide, config.gate)->score(wide.x));
  AttentionMemory memory;
  {
    torch::NoGradGuard no_grad;
    spread.forward(q, k, v, &routing, config, &memory);
  }
  check(memory.bytes() > 0, "nothing was recorded");
  memory.replay();
  const at::Tensor again = spread.forward(q, k, v, &routing, config, &memory);
  check(at::equal(again, spread.forward(q, k, v, &routing, config)), "the output has other bits");
  check(memory.empty(), "records are left");
}

TEST(SequenceAttention, RanksEqualOneProcess) {
  for (const int64_t ranks : {2, 4}) EXPECT_EQ(run_ranks("spread_visual_attention", ranks).line, "") << ranks;
}

TEST(SequenceAttention, OneRank) { ranks_spread_visual_attention(ProcessGroup()); }

TEST(SequenceAttention, AttentionIsTakenFromTheMemory) { EXPECT_EQ(run_ranks("recomputed", 4).line, ""); }

TEST(SequenceAttention, RoutedGroupsNeedARouting) {
  const VisualAttentionConfig config = configs()[0];
  const SequenceAttention spread(ProcessGroup(), kLayout, kHeads, {kLayout.tokens()}, config, at::kCPU);
  const at::Tensor q = at::zeros({kLayout.tokens(), kHeads, kSize});
  EXPECT_EQ(error_of([&] { spread.forward(q, q, q, nullptr, config); }),
            "attention over ranks: routed groups need a routing");
}

}  // namespace
}  // namespace moga::test
