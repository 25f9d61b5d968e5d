// Grouped attention on Hopper against plain operations, group by group: its error against float64 may be at most twice
// that of the same operations in bfloat16. Gradients, deterministic sums, merged halves, and replay from a CUDA graph.
#include "moga/kernels/grouped_attention.h"

#include <ATen/ATen.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "moga/core/device.h"
#include "tests/kernels/grouped_attention_cases.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

using kernels::Bfloat16;

const at::Device kGpu(at::kCUDA, 0);
const auto kBf16 = at::TensorOptions(kGpu).dtype(at::kBFloat16), kFloat = kBf16.dtype(at::kFloat);

#define MOGA_NEEDS_HOPPER() \
  MOGA_NEEDS_GPU();         \
  if (!kernels::grouped_attention_runs_on(0)) GTEST_SKIP() << "no Hopper GPU"

struct Inputs {
  at::Tensor q, k, v, grad;
};

struct Results {
  at::Tensor output, lse, dq, dk, dv;
};

// q, k, v are columns of wider tensors, like slices of a joint projection.
Inputs draw(const GroupedCase& at, int64_t size) {
  const auto rows = [&](const std::vector<int>& lengths) {
    return std::accumulate(lengths.begin(), lengths.end(), 0l);
  };
  const auto part = [&](int64_t count) { return at::randn({count, 3, at.heads, size}, kBf16).select(1, 1); };
  return {part(rows(at.queries)), part(rows(at.keys)), part(rows(at.keys)),
          at::randn({rows(at.queries), at.heads, size}, kBf16)};
}

// One group: [n, H, D] → [H, n, D], softmax, and gradients written out; a group without keys gives zeros and -inf.
void attend_group(const Inputs& in, at::IntArrayRef from, at::IntArrayRef rows, at::ScalarType dtype, Results& out) {
  const auto heads = [&](const at::Tensor& x, int side) {
    return x.narrow(0, from[side], rows[side]).transpose(0, 1).to(dtype);
  };
  const at::Tensor q = heads(in.q, 0), k = heads(in.k, 1), v = heads(in.v, 1), grad = heads(in.grad, 0);
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
  const at::Tensor scores = at::matmul(q, k.transpose(1, 2)) * scale, lse = scores.logsumexp(2);
  const at::Tensor p = (scores - lse.unsqueeze(2)).exp(), output = at::matmul(p, v);
  const at::Tensor dp = at::matmul(grad, v.transpose(1, 2));
  const at::Tensor ds = p * (dp - (grad * output).sum(2, true)) * scale;
  const auto put = [&](at::Tensor& to, int side, const at::Tensor& x) {
    to.narrow(0, from[side], rows[side]).copy_(x.transpose(0, 1));
  };
  put(out.output, 0, output);
  put(out.lse, 0, lse);
  put(out.dq, 0, at::matmul(ds, k));
  put(out.dk, 1, at::matmul(ds.transpose(1, 2), q));
  put(out.dv, 1, at::matmul(p.transpose(1, 2), grad));
}

Results plain(const GroupedCase& at, const Inputs& in, at::ScalarType dtype) {
  const auto zeros = [&](const at::Tensor& x) { return at::zeros(x.sizes(), x.options().dtype(dtype)); };
  Results out{zeros(in.q), at::full({in.q.size(0), at.heads}, -INFINITY, kFloat.dtype(dtype)), zeros(in.q), zeros(in.k),
              zeros(in.k)};
  int64_t query = 0, key = 0;
  for (size_t g = 0; g < at.queries.size(); ++g) {
    if (at.queries[g] > 0 && at.keys[g] > 0) attend_group(in, {query, key}, {at.queries[g], at.keys[g]}, dtype, out);
    query += at.queries[g];
    key += at.keys[g];
  }
  return out;
}

at::Tensor offsets_of(const std::vector<int>& lengths) {
  std::vector<int> offsets{0};
  for (const int length : lengths) offsets.push_back(offsets.back() + length);
  return at::tensor(offsets, at::kInt).to(kGpu);
}

const Bfloat16* read(const at::Tensor& x) {
  return reinterpret_cast<const Bfloat16*>(x.const_data_ptr<at::BFloat16>());
}
Bfloat16* write(at::Tensor& x) { return reinterpret_cast<Bfloat16*>(x.data_ptr<at::BFloat16>()); }
kernels::HeadRows rows_of(const at::Tensor& x) { return {read(x), x.stride(0)}; }

// The shape of a call, and the device memory it points to.
struct Call {
  at::Tensor q_offsets, k_offsets, scratch;
  kernels::GroupedAttentionShape shape;
};

Call call_of(const GroupedCase& at, const Inputs& in) {
  Call call{offsets_of(at.queries), offsets_of(at.keys), {}, {}};
  const double size = static_cast<double>(in.q.size(2));
  call.shape = {.queries = in.q.size(0),
                .keys = in.k.size(0),
                .groups = static_cast<int32_t>(at.queries.size()),
                .heads = at.heads,
                .head_size = static_cast<int32_t>(size),
                .scale = static_cast<float>(1 / std::sqrt(size)),
                .q_offsets = call.q_offsets.data_ptr<int32_t>(),
                .k_offsets = call.k_offsets.data_ptr<int32_t>()};
  const size_t bytes = std::max(kernels::grouped_attention_forward_scratch(call.shape),
                                kernels::grouped_attention_backward_scratch(call.shape));
  call.scratch = at::empty({static_cast<int64_t>(bytes)}, kBf16.dtype(at::kByte));
  return call;
}

// Results begin as NaN, so that an element that no thread writes is a failure.
Results unwritten(const GroupedCase& at, const Inputs& in) {
  const auto nan = [](const at::Tensor& x) { return at::full(x.sizes(), NAN, kBf16); };
  return {nan(in.q), at::full({in.q.size(0), at.heads}, NAN, kFloat), nan(in.q), nan(in.k), nan(in.k)};
}

void forward(const Call& call, const Inputs& in, Results& out) {
  kernels::grouped_attention_forward({.shape = call.shape,
                                      .q = rows_of(in.q),
                                      .k = rows_of(in.k),
                                      .v = rows_of(in.v),
                                      .output = write(out.output),
                                      .lse = out.lse.data_ptr<float>(),
                                      .scratch = call.scratch.data_ptr()});
}

void backward(const Call& call, const Inputs& in, Results& out, bool deterministic = false, float* row_sums = nullptr) {
  kernels::grouped_attention_backward({.shape = call.shape,
                                       .q = rows_of(in.q),
                                       .k = rows_of(in.k),
                                       .v = rows_of(in.v),
                                       .output = rows_of(out.output),
                                       .grad = rows_of(in.grad),
                                       .lse = out.lse.data_ptr<float>(),
                                       .dq = write(out.dq),
                                       .dk = write(out.dk),
                                       .dv = write(out.dv),
                                       .row_sums = row_sums,
                                       .deterministic = deterministic,
                                       .scratch = call.scratch.data_ptr()});
}

Results run(const GroupedCase& at, const Inputs& in, bool deterministic = false) {
  const Call call = call_of(at, in);
  Results out = unwritten(at, in);
  forward(call, in, out);
  backward(call, in, out, deterministic);
  synchronize(at::kCUDA);
  return out;
}

double largest(const at::Tensor& x) { return x.numel() == 0 ? 0 : x.abs().max().item<double>(); }

void expect_as_good(const GroupedCase& at, int64_t size) {
  SCOPED_TRACE(at.name + ", head size " + std::to_string(size));
  const Inputs in = draw(at, size);
  const Results actual = run(at, in), bf16 = plain(at, in, at::kBFloat16), reference = plain(at, in, at::kDouble);
  // With one key per query, dO·v − dO·o is zero up to the rounding of o to bf16.
  const double floor = 1e-3;
  EXPECT_TRUE(as_good_as(actual.output, bf16.output, reference.output, 2.0, 1e-4));
  EXPECT_TRUE(as_good_as(actual.dv, bf16.dv, reference.dv, 2.0, 1e-4));
  for (const auto part : {&Results::dq, &Results::dk})
    if (largest(reference.*part) > floor)
      EXPECT_TRUE(as_good_as(actual.*part, bf16.*part, reference.*part, 2.0, 1e-4));
    else
      EXPECT_LE(largest(actual.*part), 0.05);
  EXPECT_TRUE(at::equal(actual.lse.isneginf(), reference.lse.isneginf()));
  const auto finite = [](const at::Tensor& lse) { return lse.masked_fill(lse.isneginf(), 0); };
  EXPECT_TRUE(close(finite(actual.lse), finite(reference.lse), 1e-5));
}

TEST(GroupedAttentionGpu, IsAsGoodAsPlainOperations) {
  MOGA_NEEDS_HOPPER();
  for (const GroupedCase& at : grouped_cases(/*fuzzed=*/12))
    for (const int64_t size : {64, 128})
      if (at.queries.size() < 100) expect_as_good(at, size);
}

TEST(GroupedAttentionGpu, ServesManyRowsAndGroups) {
  MOGA_NEEDS_HOPPER();
  expect_as_good({"many rows", 2, std::vector<int>(1750, 40), std::vector<int>(1750, 40)}, 128);
  expect_as_good({"70,000 rows in one", 1, {70000}, {130}}, 64);
}

TEST(GroupedAttentionGpu, IsTheSameInEveryRun) {
  MOGA_NEEDS_HOPPER();
  const GroupedCase at{"unequal", 4, {1000, 3000, 17, 2000}, {1000, 3000, 17, 2000}};
  const Inputs in = draw(at, 128);
  const Results first = run(at, in, /*deterministic=*/true);
  for (int i = 0; i < 5; ++i) {
    const Results again = run(at, in, /*deterministic=*/true);
    for (const auto part : {&Results::output, &Results::lse, &Results::dq, &Results::dk, &Results::dv})
      EXPECT_TRUE(at::equal(first.*part, again.*part));
  }
}

// For compute-sanitizer: few rows, but several items and steps for each multiprocessor, so that every buffer is reused;
// groups that are empty, of one row, unaligned, without keys or without queries.
TEST(GroupedAttentionGpu, SmallRun) {
  MOGA_NEEDS_HOPPER();
  const GroupedCase at{"small", 40, {0, 1, 17, 80, 64, 331, 193, 5, 0}, {0, 1, 200, 129, 64, 130, 331, 0, 7}};
  for (const int64_t size : {64, 128}) {
    const Inputs in = draw(at, size);
    const Results any = run(at, in), same = run(at, in, /*deterministic=*/true);
    EXPECT_TRUE(close(any.dq.to(at::kFloat), same.dq.to(at::kFloat), 5e-3));
    EXPECT_TRUE(at::equal(any.output, same.output) && at::equal(any.dk, same.dk) && at::equal(any.dv, same.dv));
  }
}

// Attention over even and over odd keys, merged by their lse: the backward pass of each half, given the merged output
// and lse, returns its part of dQ, and dK and dV of its keys.
TEST(GroupedAttentionGpu, BackwardTakesTheLseOfAWholeItIsPartOf) {
  MOGA_NEEDS_HOPPER();
  const GroupedCase whole{"whole", 2, {300, 170}, {400, 130}}, part{"half", 2, {300, 170}, {200, 65}};
  const Inputs in = draw(whole, 128);
  const Results expected = run(whole, in);
  at::Tensor dq = at::zeros(in.q.sizes(), kFloat);
  for (const int64_t half : {0, 1}) {
    const auto rows = [&](const at::Tensor& x) { return x.slice(0, half, at::nullopt, 2).contiguous(); };
    const Inputs inputs{in.q, rows(in.k), rows(in.v), in.grad};
    const Call call = call_of(part, inputs);
    Results out = unwritten(part, inputs);
    out.output.copy_(expected.output);
    out.lse.copy_(expected.lse);
    backward(call, inputs, out);
    dq += out.dq;
    EXPECT_TRUE(close(out.dk.to(at::kFloat), rows(expected.dk).to(at::kFloat), 5e-3));
    EXPECT_TRUE(close(out.dv.to(at::kFloat), rows(expected.dv).to(at::kFloat), 5e-3));
  }
  EXPECT_TRUE(close(dq, expected.dq.to(at::kFloat), 1e-2));
}

TEST(GroupedAttentionGpu, ReturnsTheRowSumsOfGradientAndOutput) {
  MOGA_NEEDS_HOPPER();
  const GroupedCase at{"sums", 3, {100, 0, 81}, {50, 7, 200}};
  const Inputs in = draw(at, 64);
  const Call call = call_of(at, in);
  Results out = unwritten(at, in);
  const at::Tensor sums = at::full_like(out.lse, NAN);
  forward(call, in, out);
  backward(call, in, out, false, sums.data_ptr<float>());
  EXPECT_TRUE(close(sums, (in.grad.to(at::kFloat) * out.output.to(at::kFloat)).sum(2), 1e-5));
}

// Each replay of a graph reads the offsets again: the same rows in other groups.
TEST(GroupedAttentionGpu, ReplaysFromACudaGraphWithOtherGroups) {
  MOGA_NEEDS_HOPPER();
  const GroupedCase first{"first", 2, {100, 300, 56}, {100, 300, 56}}, second{"second", 2, {0, 1, 455}, {20, 36, 400}};
  const Inputs in = draw(first, 128);
  Call call = call_of(first, in);
  Results out = unwritten(first, in);
  cudaGraph_t graph{};
  cudaGraphExec_t replay{};
  ASSERT_EQ(cudaStreamCreateWithFlags(&call.shape.stream, cudaStreamNonBlocking), cudaSuccess);
  synchronize(at::kCUDA);
  ASSERT_EQ(cudaStreamBeginCapture(call.shape.stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  forward(call, in, out);
  backward(call, in, out, /*deterministic=*/true);
  ASSERT_EQ(cudaStreamEndCapture(call.shape.stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&replay, graph, 0), cudaSuccess);
  for (const GroupedCase& at : {first, second}) {
    call.q_offsets.copy_(offsets_of(at.queries));
    call.k_offsets.copy_(offsets_of(at.keys));
    synchronize(at::kCUDA);
    ASSERT_EQ(cudaGraphLaunch(replay, call.shape.stream), cudaSuccess);
    synchronize(at::kCUDA);
    const Results expected = run(at, in, /*deterministic=*/true);
    for (const auto part : {&Results::output, &Results::lse, &Results::dq, &Results::dk, &Results::dv})
      EXPECT_TRUE(at::equal(out.*part, expected.*part)) << at.name;
  }
}

}  // namespace
}  // namespace moga::test
