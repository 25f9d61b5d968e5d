// attend on a CPU: the reference against a dense softmax under a mask written here, every backend that serves a CPU
// against the reference, gradients against finite differences.
#include "moga/attention/attend.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/attention/backend.h"
#include "moga/core/check.h"
#include "moga/core/random.h"
#include "tests/attention/cases.h"
#include "tests/support/error.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "attend_test"), at::kDouble);
}

// Row r of the rows in group g → member[g][r] = 1.
at::Tensor members(const Rows& rows, int64_t total) {
  const at::Tensor offsets = rows.offsets.to(at::kLong);
  at::Tensor member = at::zeros({offsets.size(0) - 1, total}, at::kDouble);
  for (int64_t g = 0; g + 1 < offsets.size(0); ++g)
    for (int64_t i = offsets[g].item<int64_t>(); i < offsets[g + 1].item<int64_t>(); ++i)
      member[g][rows.index.defined() ? rows.index[i].item<int64_t>() : i] = 1;
  return member;
}

// softmax over all keys that share a group with the query; zero for a query without any.
at::Tensor masked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
  const at::Tensor scores = at::einsum("qhd,khd->hqk", {q, k}) / std::sqrt(double(q.size(2)));
  const at::Tensor weights = at::softmax(scores.masked_fill(mask.logical_not(), -INFINITY), -1).nan_to_num(0.0);
  return at::einsum("hqk,khd->qhd", {weights, v});
}

TEST(Attend, ReferenceEqualsDenseAttentionUnderASameGroupMask) {
  for (const Case& at : attention_cases()) {
    if (at.queries > 1000) continue;
    const at::Tensor q = random({at.queries, 2, 8}, 1), k = random({at.keys, 2, 8}, 2), v = random({at.keys, 2, 8}, 3);
    const at::Tensor mask = members(at.grouping.query, at.queries).t().matmul(members(at.grouping.key, at.keys)) > 0;
    const at::Tensor output = attend(q, k, v, at.grouping, AttentionBackend::kReference).output;
    EXPECT_TRUE(close(output, masked_attention(q, k, v, mask), 1e-12)) << at.name;
  }
}

TEST(Attend, OneGroupIsFullAttention) {
  const at::Tensor q = random({37, 3, 16}, 1), k = random({37, 3, 16}, 2), v = random({37, 3, 16}, 3);
  const Grouping grouping = full_groups({{{37, 1, 1, {}}}}, at::kCPU);
  const auto heads = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  const at::Tensor dense = at::scaled_dot_product_attention(heads(q), heads(k), heads(v))[0].transpose(0, 1);
  EXPECT_TRUE(close(attend(q, k, v, grouping, AttentionBackend::kReference).output, dense, 1e-12));
}

TEST(Attend, LseIsTheLogarithmOfTheSoftmaxSum) {
  const at::Tensor q = random({9, 2, 4}, 1), k = random({7, 2, 4}, 2);
  const Grouping grouping{make_rows({9}, {}, at::kCPU), make_rows({7}, {}, at::kCPU)};
  const at::Tensor scores = at::einsum("qhd,khd->qhk", {q, k}) / 2.0;
  EXPECT_TRUE(close(attend(q, k, k, grouping, AttentionBackend::kReference).lse, scores.exp().sum(-1).log(), 1e-12));
}

// Those of the registry that serve head size 16 in `dtype` on a CPU: a new backend is tested without an edit here.
std::vector<AttentionBackend> backends_of(at::ScalarType dtype) {
  const at::Tensor q = at::zeros({1, 1, 16}, dtype);
  std::vector<AttentionBackend> backends;
#define MOGA_ADD(value, name, help, object) \
  if (object.can_serve(q)) backends.push_back(AttentionBackend::value);
  MOGA_ATTENTION_BACKENDS(MOGA_ADD)
#undef MOGA_ADD
  return backends;
}

TEST(Attend, EveryCpuBackendIsAsGoodAsPlainOperations) {
  for (const Case& at : attention_cases()) {
    const int64_t heads = at.queries > 1000 ? 1 : 3;
    const Results reference = run_attention(at, AttentionBackend::kReference, at::kDouble, heads, 16);
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      const Results plain = run_attention(at, AttentionBackend::kReference, dtype, heads, 16);
      for (const AttentionBackend backend : backends_of(dtype)) {
        SCOPED_TRACE(at.name + " by " + name_of(backend));
        expect_as_good_as(run_attention(at, backend, dtype, heads, 16), plain, reference, 2.0, 1e-6);
      }
    }
  }
  for (const auto dtype : {at::kFloat, at::kBFloat16}) EXPECT_FALSE(backends_of(dtype).empty());
}

TEST(Attend, GradientsEqualFiniteDifferences) {
  for (const Case& at : attention_cases()) {
    if (at.queries > 60) continue;
    const auto f = [&](const Tensors& x) {
      return attend(x[0], x[1], x[2], at.grouping, AttentionBackend::kReference).output;
    };
    EXPECT_TRUE(gradcheck(f, {random({at.queries, 1, 2}, 1), random({at.keys, 1, 2}, 2), random({at.keys, 1, 2}, 3)}))
        << at.name;
  }
}

TEST(Attend, OrderOfGroupsDoesNotMatter) {
  const std::vector<int64_t> order = random_order(20, 1), swapped = [&] {
    std::vector<int64_t> rows(order.begin() + 8, order.end());
    rows.insert(rows.end(), order.begin(), order.begin() + 8);
    return rows;
  }();
  const Rows a = make_rows({8, 12}, order, at::kCPU), b = make_rows({12, 8}, swapped, at::kCPU);
  const Results first = run_attention({"", 20, 20, {a, a}}, AttentionBackend::kCpu, at::kFloat, 2, 8);
  const Results second = run_attention({"", 20, 20, {b, b}}, AttentionBackend::kCpu, at::kFloat, 2, 8);
  EXPECT_TRUE(at::equal(first.output, second.output));
  EXPECT_TRUE(at::equal(first.grad_k, second.grad_k));
}

TEST(Attend, TakesRowsWithAnyStride) {
  const at::Tensor qkv = random({30, 3, 2, 8}, 4).to(at::kFloat).requires_grad_();
  const Grouping grouping = frame_groups({{{5, 2, 3, {}}}}, at::kCPU);
  const auto run = [&](bool contiguous) {
    const auto part = [&](int64_t i) { return contiguous ? qkv.select(1, i).contiguous() : qkv.select(1, i); };
    return torch::autograd::grad({attend(part(0), part(1), part(2), grouping, AttentionBackend::kCpu).output.sum()},
                                 {qkv})[0];
  };
  EXPECT_TRUE(at::equal(run(false), run(true)));
}

TEST(Attend, SaysWhatDoesNotFit) {
  const at::Tensor x = at::zeros({4, 1, 8}, at::kDouble);
  const Grouping grouping = full_groups({{{4, 1, 1, {}}}}, at::kCPU);
  const auto message = [&](const at::Tensor& q) { return error_of([&] { attend(q, x, x, grouping); }); };
  EXPECT_NE(message(x.to(at::kFloat)).find("q is float32, k float64"), std::string::npos);
  EXPECT_NE(message(x.slice(0, 0, 3)).find("4 query rows, there are only 3"), std::string::npos);
  EXPECT_NE(message(x.flatten(1)).find("expected [Nq, H, D]"), std::string::npos);
}

}  // namespace
}  // namespace moga::test
