// Attention of a sequence spread over 2, 3, 4 and 8 processes against one process, outputs and gradients: routed groups
// with their gate, windows and frames, on random layouts, slices and numbers of heads.
#include "moga/attention/exchange.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <numeric>
#include <random>

#include "moga/attention/attend.h"
#include "moga/attention/static_groups.h"
#include "moga/core/random.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

constexpr int64_t kSize = 4, kGroups = 3;

struct Spread {
  Layout layout;
  int64_t heads;
  std::vector<int64_t> slices;
  at::ScalarType dtype;
};

struct Inputs {
  at::Tensor q, k, v, gate, grad;  // [N, H, D]; gate [N]
  at::Tensor group;                // [N]
};

Inputs draw(const Spread& spread, uint64_t seed) {
  const int64_t tokens = spread.layout.tokens();
  const auto normal = [&](const char* name) {
    return at::randn({tokens, spread.heads, kSize}, random_stream(seed, name), at::kDouble).to(spread.dtype);
  };
  const at::Tensor gate = at::rand({tokens}, random_stream(seed, "gate"), at::kDouble).to(spread.dtype);
  return {normal("q"), normal("k"),    normal("v"),
          gate,        normal("grad"), at::randint(0, kGroups, {tokens}, random_stream(seed, "group"), at::kLong)};
}

struct Groupings {
  Grouping routed, window, frame;
};

Groupings groupings_of(const Layout& layout, const at::Tensor& group) {
  return {routed_groups(layout, group, kGroups), window_groups(layout, {2, 2, 2, 1}, at::kCPU),
          frame_groups(layout, at::kCPU)};
}

at::Tensor branches(const ShareInputs& x, const Groupings& groupings) {
  const at::Tensor routed = moga::attend(x.q, x.k, x.v, groupings.routed).output;
  return (routed * x.gate.view({-1, 1, 1}) + moga::attend(x.q, x.k, x.v, groupings.window).output +
          moga::attend(x.q, x.k, x.v, groupings.frame).output) /
         3;
}

// Output and the gradients of q, k, v and the gate.
using Results = std::vector<at::Tensor>;

Results with_gradients(const Inputs& x, const std::function<at::Tensor(const ShareInputs&)>& attention) {
  const auto leaf = [](const at::Tensor& tensor) { return tensor.detach().clone().requires_grad_(); };
  const ShareInputs leaves{leaf(x.q), leaf(x.k), leaf(x.v), leaf(x.gate)};
  const at::Tensor output = attention(leaves);
  Results results = torch::autograd::grad({output}, {leaves.q, leaves.k, leaves.v, leaves.gate}, {x.grad});
  results.insert(results.begin(), output.detach());
  return results;
}

Results on_one_process(const Spread& spread, const Inputs& x) {
  const Groupings groupings = groupings_of(spread.layout, x.group);
  return with_gradients(x, [&](const ShareInputs& inputs) { return branches(inputs, groupings); });
}

Results on_ranks(const ProcessGroup& world, const Spread& spread, const Inputs& x) {
  const SequenceExchange exchange(world, spread.layout, spread.heads, spread.slices, at::kCPU);
  const int64_t begin = exchange.plan().slice_begin(world.rank()), rows = spread.slices[world.rank()];
  const auto slice = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, rows); };
  const at::Tensor group = exchange.gather(slice(x.group));
  const Groupings whole = groupings_of(spread.layout, group);
  const auto attend_share = [&](const OwnShare& share, const ShareInputs& inputs) {
    return branches(inputs, {exchange.routed_of_share(whole.routed, group, kGroups, share),
                             exchange.of_share(whole.window, share), exchange.of_share(whole.frame, share)});
  };
  return with_gradients(
      {slice(x.q), slice(x.k), slice(x.v), slice(x.gate), slice(x.grad), {}}, [&](const ShareInputs& local) {
        return exchange.attend(local.q, local.k, local.v, {local.gate, exchange.gather(local.gate)}, attend_share);
      });
}

// Random videos, heads and slices, some without a token; every second in float32.
Spread random_spread(int64_t ranks, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto pick = [&](int64_t low, int64_t high) { return low + static_cast<int64_t>(random() % (high - low + 1)); };
  Spread spread{{}, pick(1, 13), {}, seed % 2 == 0 ? at::kDouble : at::kFloat};
  for (int64_t video = pick(1, 2); video > 0; --video)
    spread.layout.videos.push_back({pick(2, 5), pick(2, 4), pick(2, 5), {}});
  const int64_t tokens = spread.layout.tokens();
  std::vector<int64_t> ends{0, tokens};
  for (int64_t cut = 1; cut < ranks; ++cut) ends.push_back(pick(0, tokens));
  std::ranges::sort(ends);
  for (int64_t rank = 0; rank < ranks; ++rank) spread.slices.push_back(ends[rank + 1] - ends[rank]);
  if (seed % 3 == 0) spread.slices = sequence_slices(spread.layout, ranks);
  return spread;
}

MOGA_RANKS(spread_attention) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const Spread spread = random_spread(world.size(), seed);
    const Inputs x = draw(spread, seed);
    const Results expected = on_one_process(spread, x), actual = on_ranks(world, spread, x);
    const int64_t begin = std::accumulate(spread.slices.begin(), spread.slices.begin() + world.rank(), int64_t{0});
    for (size_t i = 0; i < expected.size(); ++i) {
      const at::Tensor own = expected[i].narrow(0, begin, spread.slices[world.rank()]);
      const auto same = close(actual[i], own, spread.dtype == at::kDouble ? 1e-12 : 3e-6);
      check(static_cast<bool>(same), "result ", i, " of layout ", seed, " with ", spread.heads,
            " heads: ", same.message());
    }
  }
}

// Pairs of queries and keys that one group after another attends.
double pairs_of(const Grouping& grouping) {
  const at::Tensor products = grouping.query.offsets.diff().to(at::kDouble) * grouping.key.offsets.diff();
  return products.sum().item<double>();
}

// The work of this rank over the mean of all ranks.
void check_even(const ProcessGroup& world, const char* what, double work) {
  const at::Tensor all = world.all_gather(at::full({1}, work, at::kDouble));
  const double most = (all.max() / all.mean()).item<double>();
  check(most <= 1.15, what, ": the fullest rank has ", most, " times the mean work");
}

// Work of 12 heads on 8 ranks: query rows × heads as the plan counts them, and pairs of queries and keys in the groups
// that attention gets, of each kind.
MOGA_RANKS(pairs_of_ranks) {
  const Layout layout{{{8, 30, 26, {}}}};
  const Spread spread{layout, 12, sequence_slices(layout, world.size()), at::kFloat};
  const at::Tensor uneven = at::randint(0, kGroups, {layout.tokens()}, random_stream(1, "group"), at::kLong).pow(2) / 2;
  const at::Tensor group = uneven.to(at::kLong);
  const Groupings whole = groupings_of(layout, group);
  const SequenceExchange exchange(world, layout, spread.heads, spread.slices, at::kCPU);
  double routed = 0, window = 0, frame = 0;
  for (const OwnShare& share : exchange.shares()) {
    const auto heads = static_cast<double>(share.share.heads);
    routed += heads * pairs_of(exchange.routed_of_share(whole.routed, group, kGroups, share));
    window += heads * pairs_of(exchange.of_share(whole.window, share));
    frame += heads * pairs_of(exchange.of_share(whole.frame, share));
  }
  check_even(world, "rows of the plan", exchange.plan().work(world.rank()));
  check_even(world, "routed groups", routed);
  check_even(world, "windows", window);
  check_even(world, "frames", frame);
  check_even(world, "all branches", routed + window + frame);
}

// The same bits in two runs of one mesh, keys of divided heads included.
MOGA_RANKS(repeated_attention) {
  const Spread spread{{{{4, 6, 5, {}}}}, 3, sequence_slices({{{4, 6, 5, {}}}}, world.size()), at::kFloat};
  const Inputs x = draw(spread, 9);
  const Results first = on_ranks(world, spread, x), second = on_ranks(world, spread, x);
  for (size_t i = 0; i < first.size(); ++i) check(at::equal(first[i], second[i]), "result ", i, " has other bits");
}

class Exchange : public testing::TestWithParam<int64_t> {};
TEST_P(Exchange, RanksEqualOneProcess) { EXPECT_EQ(run_ranks("spread_attention", GetParam()).line, ""); }
INSTANTIATE_TEST_SUITE_P(Processes, Exchange, testing::Values(2, 3, 4, 8));

TEST(SequenceExchange, TwelveHeadsOnEightRanksAreEvenWork) { EXPECT_EQ(run_ranks("pairs_of_ranks", 8).line, ""); }

TEST(SequenceExchange, IsBitIdenticalFromRunToRun) { EXPECT_EQ(run_ranks("repeated_attention", 4).line, ""); }

TEST(SequenceExchange, OneRank) { ranks_spread_attention(ProcessGroup()); }

TEST(SequenceExchange, SlicesEndAtFramesWhereThatIsEven) {
  EXPECT_EQ(sequence_slices({{{16, 3, 4, {}}}}, 8), std::vector<int64_t>(8, 24));
  EXPECT_EQ(sequence_slices({{{41, 1, 10, {}}}}, 3), (std::vector<int64_t>{140, 130, 140}));
  EXPECT_EQ(sequence_slices({{{3, 5, 4, {}}}}, 2), std::vector<int64_t>(2, 30));
}

TEST(SequenceExchange, ShapesThatDoNotFitAreOneLine) {
  const SequenceExchange exchange(ProcessGroup(), {{{2, 2, 2, {}}}}, 3, {8}, at::kCPU);
  const at::Tensor q = at::zeros({8, 2, 4});
  EXPECT_EQ(error_of([&] { exchange.attend(q, q, q, {}, {}); }),
            "exchange: q [8, 2, 4], k [8, 2, 4], v [8, 2, 4]; expected three of [8, 3, D]");
  EXPECT_EQ(error_of([] {
              SequenceExchange(ProcessGroup(), {{{2, 2, 2, {}}}}, 3, {7}, at::kCPU);
            }),
            "an exchange of 7 tokens over 1 ranks; the layout has 8, the group 1");
}

}  // namespace
}  // namespace moga::test
