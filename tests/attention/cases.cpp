// Groupings, ordinary and odd, and attention run on them with gradients. See cases.h.
#include "tests/attention/cases.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "moga/core/random.h"

namespace moga::test {
namespace {

// Queries and keys in the same shuffled rows, as routed groups have them.
Case shuffled(const std::string& name, const std::vector<int64_t>& lengths, uint64_t seed) {
  const int64_t rows = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const Rows both = make_rows(lengths, random_order(rows, seed), at::kCPU);
  return {name, rows, rows, {both, both}};
}

Case separate(const std::string& name, const std::vector<int64_t>& query, const std::vector<int64_t>& key) {
  const Grouping grouping{make_rows(query, {}, at::kCPU), make_rows(key, {}, at::kCPU)};
  return {name, grouping.query.count, grouping.key.count, grouping};
}

Case rows_in_no_group() {
  std::vector<int64_t> order = random_order(50, 5), key_order = random_order(40, 6);
  order.resize(31);
  key_order.resize(22);
  return {"rows in no group", 50, 40, {make_rows({11, 20}, order, at::kCPU), make_rows({15, 7}, key_order, at::kCPU)}};
}

}  // namespace

std::vector<int64_t> random_order(int64_t count, uint64_t seed) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  return order;
}

std::vector<Case> attention_cases() {
  const Layout layout{{{5, 4, 6, {2, 3}}, {3, 5, 3, {}}}};
  const int64_t tokens = layout.tokens();
  const at::Tensor group = at::randint(0, 3, {tokens}, random_stream(2, "routing"), at::kLong);
  return {separate("regular", {8, 8, 8, 8}, {8, 8, 8, 8}),
          shuffled("irregular", {1, 17, 130, 5, 64}, 3),
          shuffled("empty groups", {0, 20, 0, 12, 0}, 4),
          separate("no keys, no queries", {5, 6, 0, 7}, {4, 0, 3, 9}),
          shuffled("one token", {1}, 1),
          shuffled("all in one", {300}, 7),
          {"windows", tokens, tokens, window_groups(layout, {2, 2, 2, 2}, at::kCPU)},
          {"frames", tokens, tokens, frame_groups(layout, at::kCPU)},
          {"captions", tokens, 30, text_groups(layout, {7, 12, 11}, at::kCPU)},
          {"routed batch", tokens, tokens, routed_groups(layout, group, 3)},
          rows_in_no_group(),
          shuffled("many rows", std::vector<int64_t>(1750, 40), 8)};
}

Results run_attention(const Case& at, AttentionBackend backend, at::ScalarType dtype, int64_t heads, int64_t size,
                      at::Device device, uint64_t seed) {
  const auto draw = [&](int64_t rows, const char* name) {
    return at::randn({rows, heads, size}, random_stream(seed, name)).to(at::kBFloat16).to(device, dtype);
  };
  const at::Tensor q = draw(at.queries, "q").requires_grad_(), k = draw(at.keys, "k").requires_grad_(),
                   v = draw(at.keys, "v").requires_grad_();
  const Attended result = attend(q, k, v, at.grouping.to(device), backend);
  const auto grads = torch::autograd::grad({result.output}, {q, k, v}, {draw(at.queries, "grad")});
  return {result.output.detach(), result.lse, grads[0], grads[1], grads[2]};
}

void expect_as_good_as(const Results& actual, const Results& plain, const Results& reference, double factor,
                       double floor) {
  // One key a query: the gradients of q and k are dO·v − dO·o = 0, up to the rounding of D float32 products.
  const double zero =
      0x1p-23 * static_cast<double>(reference.output.size(-1)) * reference.grad_v.abs().max().item<double>();
  const auto check = [&](at::Tensor Results::*part, const char* name) {
    if ((reference.*part).count_nonzero().item<int64_t>() == 0)
      EXPECT_LE((actual.*part).abs().max().item<double>(), zero) << name;
    else
      EXPECT_TRUE(as_good_as(actual.*part, plain.*part, reference.*part, factor, floor)) << name;
  };
  check(&Results::output, "output");
  check(&Results::grad_q, "gradient of q");
  check(&Results::grad_k, "gradient of k");
  check(&Results::grad_v, "gradient of v");
  EXPECT_TRUE(at::equal(actual.lse.isneginf().cpu(), reference.lse.isneginf().cpu())) << "-inf of lse";
  const auto finite = [](const at::Tensor& lse) { return lse.masked_fill(lse.isneginf(), 0); };
  EXPECT_TRUE(as_good_as(finite(actual.lse), finite(plain.lse), finite(reference.lse), factor, floor)) << "lse";
}

}  // namespace moga::test
