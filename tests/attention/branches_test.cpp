// Mean and union of branches by every backend against plain operations; the union against a dense softmax whose weights
// count, by coordinates written out here, in how many branches a query sees a key; gradients by finite differences.
#include "moga/attention/branches.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/attention/backend.h"
#include "tests/attention/branch_cases.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

constexpr Gate kGates[] = {Gate::kNone, Gate::kProbability, Gate::kStraightThrough};

VisualAttentionConfig lse_config(Gate gate) { return combined_config(Combine::kLse, gate); }

Tensors to(const Tensors& in, at::ScalarType dtype) {
  Tensors out;
  for (const at::Tensor& x : in) out.push_back(x.to(dtype));
  return out;
}

struct Place {
  int64_t video, frame, row, column;
};

Place place_of(int64_t token) {
  const int64_t frame = token / 6;
  return {frame / 5, frame % 5, token % 6 / 3, token % 3};
}

// A run's key frames reach one frame over the cut between frames 1 and 2; columns are cut into {0, 1} and {2}.
bool same_window(const Place& query, const Place& key) {
  static const std::vector<std::vector<int64_t>> kKeyFrames = {{0, 1, 2}, {0, 1, 2}, {1, 2, 3}, {1, 2, 3}, {4}};
  const std::vector<int64_t> second_video = {0, 1};
  const auto& frames = query.video == 0 ? kKeyFrames[query.frame] : second_video;
  return query.row == key.row && (query.column < 2) == (key.column < 2) &&
         std::find(frames.begin(), frames.end(), key.frame) != frames.end();
}

// Weight of key j for query i: the number of branches that show it, the routed one by its gate.
at::Tensor weights(const Routing& routing) {
  std::vector<at::Tensor> rows;
  const at::Tensor gate = routing.gate.defined() ? routing.gate : at::ones({kBranchTokens}, at::kDouble);
  for (int64_t i = 0; i < kBranchTokens; ++i) {
    std::vector<double> fixed, routed;
    for (int64_t j = 0; j < kBranchTokens; ++j) {
      const Place query = place_of(i), key = place_of(j);
      const bool video = query.video == key.video;
      fixed.push_back(video * ((query.frame == key.frame) + same_window(query, key)));
      routed.push_back(video && routing.group[i].item<int64_t>() == routing.group[j].item<int64_t>());
    }
    rows.push_back(at::tensor(fixed, at::kDouble) + gate[i] * at::tensor(routed, at::kDouble));
  }
  return at::stack(rows);  // [N, N]
}

at::Tensor dense(const Tensors& in, const at::Tensor& weight) {
  const at::Tensor scores = at::einsum("qhd,khd->hqk", {in[0], in[1]}) / std::sqrt(double(in[0].size(2)));
  const at::Tensor mass = weight * scores.exp();
  return at::einsum("hqk,khd->qhd", {mass / mass.sum(-1, true), in[2]});
}

TEST(BranchesLse, IsOneSoftmaxInWhichAKeyCountsOnceForEachBranch) {
  for (const Gate gate : {Gate::kNone, Gate::kProbability}) {
    const Tensors in = branch_inputs();
    EXPECT_TRUE(close(run_branches(in, lse_config(gate)), dense(in, weights(branch_routing(in, gate))), 1e-13))
        << name_of(gate);
  }
}

TEST(BranchesLse, GradientsAreThoseOfTheDenseSoftmax) {
  for (const Gate gate : {Gate::kNone, Gate::kProbability}) {
    Tensors in = branch_inputs();
    for (at::Tensor& x : in) x.requires_grad_();
    const at::Tensor grad = branch_random({kBranchTokens, 2, 3}, 7);
    const auto of = [&](const at::Tensor& y) {
      return torch::autograd::grad({y}, in, {grad}, std::nullopt, false, /*allow_unused=*/true);
    };
    const auto actual = of(run_branches(in, lse_config(gate))),
               expected = of(dense(in, weights(branch_routing(in, gate))));
    for (size_t i = 0; i < in.size(); ++i) {
      EXPECT_EQ(actual[i].defined(), i < 3 || gate == Gate::kProbability);
      EXPECT_TRUE(!actual[i].defined() || close(actual[i], expected[i], 1e-12)) << name_of(gate) << " " << i;
    }
  }
}

TEST(BranchesLse, GradientsEqualFiniteDifferences) {
  const Tensors in = branch_inputs(1, 2);
  EXPECT_TRUE(gradcheck([](const Tensors& x) { return run_branches(x, lse_config(Gate::kProbability)); }, in));
}

// The output and the gradients of all inputs that have one, over several draws.
Tensors results(const VisualAttentionConfig& config, at::ScalarType dtype, int64_t size, at::Device device) {
  std::vector<Tensors> found(7);
  for (uint64_t draw = 0; draw < 8; ++draw) {
    Tensors in = to(branch_inputs(2, size, draw), at::kBFloat16);  // the same numbers in every dtype
    for (size_t i = 0; i < in.size(); ++i) in[i] = in[i].to(device, i < 3 ? dtype : at::kDouble).requires_grad_();
    const at::Tensor output = run_branches(in, config),
                     grad = branch_random({kBranchTokens, 2, size}, 7 * draw).to(device, dtype);
    const auto gradients = torch::autograd::grad({output}, in, {grad}, std::nullopt, false, /*allow_unused=*/true);
    found[0].push_back(output);
    for (size_t i = 0; i < in.size(); ++i)
      if (gradients[i].defined()) found[i + 1].push_back(gradients[i]);
  }
  Tensors joined;
  for (const Tensors& draws : found)
    if (!draws.empty()) joined.push_back(at::cat(draws));
  return joined;
}

void expect_as_good(Combine combine, AttentionBackend backend, const std::vector<at::ScalarType>& dtypes, int64_t size,
                    at::Device device) {
  for (const Gate gate : kGates)
    for (const at::ScalarType dtype : dtypes) {
      VisualAttentionConfig config = combined_config(combine, gate);
      config.backend = AttentionBackend::kReference;
      const Tensors plain = results(config, dtype, size, device), exact = results(config, at::kDouble, size, device);
      config.backend = backend;
      const Tensors actual = results(config, dtype, size, device);
      ASSERT_EQ(actual.size(), gate == Gate::kNone ? 4 : 7);
      for (size_t i = 0; i < actual.size(); ++i)
        EXPECT_TRUE(as_good_as(actual[i], plain[i], exact[i], 2.0, 1e-6)) << name_of(gate) << " " << i;
    }
}

TEST(Branches, CpuBackendIsAsGoodAsPlainOperations) {
  for (const Combine combine : {Combine::kMean, Combine::kLse})
    expect_as_good(combine, AttentionBackend::kCpu, {at::kFloat, at::kBFloat16}, 16, at::kCPU);
}

TEST(BranchesGpu, FlashIsAsGoodAsPlainOperations) {
  MOGA_NEEDS_GPU();
  for (const Combine combine : {Combine::kMean, Combine::kLse})
    expect_as_good(combine, AttentionBackend::kFlash, {at::kHalf, at::kBFloat16}, 16, at::kCUDA);
}

TEST(BranchesGpu, Sm90IsAsGoodAsPlainOperations) {
  MOGA_NEEDS_GPU();
  const at::Tensor probe = at::zeros({1, 1, 64}, at::TensorOptions(at::kCUDA).dtype(at::kBFloat16));
  if (!kSm90Backend.can_serve(probe)) GTEST_SKIP() << "no Hopper GPU, or built without MOGA_CUDA";
  for (const Combine combine : {Combine::kMean, Combine::kLse})
    for (const int64_t size : {64, 128})
      expect_as_good(combine, AttentionBackend::kSm90, {at::kBFloat16}, size, at::kCUDA);
}

// Attention over the groupings with one softmax.
Attended together(const Tensors& in, const std::vector<Grouping>& groupings,
                  AttentionBackend backend = AttentionBackend::kAuto) {
  return attend_branches(in[0], in[1], in[2], {.groupings = groupings, .combine = Combine::kLse}, backend);
}

TEST(BranchesLse, OfOneGroupingIsAttend) {
  const Tensors in = to(branch_inputs(2, 8), at::kFloat);
  const Grouping frames = frame_groups(kBranchLayout, at::kCPU);
  const Attended one = attend(in[0], in[1], in[2], frames), merged = together(in, {frames});
  EXPECT_TRUE(at::equal(merged.output, one.output));
  EXPECT_TRUE(at::equal(merged.lse, one.lse));
}

TEST(BranchesLse, SameGroupingTwiceChangesNothingButTheSum) {
  const Tensors in = to(branch_inputs(2, 8), at::kFloat);
  const Grouping frames = frame_groups(kBranchLayout, at::kCPU);
  const Attended once = attend(in[0], in[1], in[2], frames), twice = together(in, {frames, frames});
  EXPECT_TRUE(close(twice.output, once.output, 1e-6));
  EXPECT_TRUE(close(twice.lse, once.lse + std::log(2.0), 1e-6));
}

TEST(BranchesLse, AQueryWithoutKeysIsZero) {
  const Rows two = make_rows({2, 1}, {}, at::kCPU), keys = make_rows({3, 0}, {}, at::kCPU);
  for (const AttentionBackend backend : {AttentionBackend::kReference, AttentionBackend::kCpu}) {
    Tensors in;
    for (uint64_t i = 0; i < 3; ++i) in.push_back(branch_random({4, 1, 8}, i).to(at::kFloat).requires_grad_());
    const Attended merged = together(in, {{two, keys}, {two, keys}}, backend);
    EXPECT_EQ(merged.output.slice(0, 2).abs().max().item<float>(), 0);  // row 2 has no keys, row 3 no group
    EXPECT_TRUE(merged.lse.slice(0, 2).isneginf().all().item<bool>());
    const Tensors gradients = torch::autograd::grad({merged.output.sum()}, in);
    for (const at::Tensor& gradient : gradients)
      EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << name_of(backend);
    EXPECT_EQ(gradients[0].slice(0, 2).abs().max().item<float>(), 0) << name_of(backend);
  }
}

TEST(BranchesMean, IsTheMeanOfAttendAlsoWhereRowsAreInNoGroup) {
  const Grouping frames = frame_groups(kBranchLayout, at::kCPU);
  const Rows some = make_rows({3, 2}, {40, 1, 7, 20, 30}, at::kCPU),
             keys = make_rows({2, 4}, {1, 2, 3, 1, 2, 9}, at::kCPU);
  Tensors in = to(branch_inputs(2, 8), at::kFloat);
  in = {in[0].requires_grad_(), in[1].requires_grad_(), in[2].requires_grad_(),
        branch_random({kBranchTokens}, 9).to(at::kFloat).requires_grad_()};
  const Branches branches{.groupings = {frames, {some, keys}}, .gate = in[3]};
  const at::Tensor mean = attend_branches(in[0], in[1], in[2], branches).output;
  const at::Tensor apart = (attend(in[0], in[1], in[2], frames).output +
                            attend(in[0], in[1], in[2], {some, keys}).output * in[3].view({-1, 1, 1})) /
                           2;
  EXPECT_TRUE(close(mean, apart, 1e-6));
  const at::Tensor grad = branch_random({kBranchTokens, 2, 8}, 10).to(at::kFloat);
  const Tensors actual = torch::autograd::grad({mean}, in, {grad}),
                expected = torch::autograd::grad({apart}, in, {grad});
  for (size_t i = 0; i < in.size(); ++i) EXPECT_TRUE(close(actual[i], expected[i], 1e-6)) << i;
}

TEST(Branches, OrderOfUngatedBranchesDoesNotMatter) {
  const Tensors in = to(branch_inputs(2, 8), at::kFloat);
  const Grouping frames = frame_groups(kBranchLayout, at::kCPU), full = full_groups(kBranchLayout, at::kCPU);
  for (const Combine combine : {Combine::kMean, Combine::kLse}) {
    const auto run = [&](const Grouping& a, const Grouping& b) {
      return attend_branches(in[0], in[1], in[2], {.groupings = {a, b}, .combine = combine}).output;
    };
    EXPECT_TRUE(close(run(frames, full), run(full, frames), 1e-6)) << name_of(combine);
  }
}

TEST(Branches, SaysWhatDoesNotFit) {
  const at::Tensor x = at::zeros({42, 1, 8});
  const Grouping frames = frame_groups(kBranchLayout, at::kCPU);
  EXPECT_EQ(error_of([&] { attend_branches(x, x, x, {}); }), "attend: no groupings");
  EXPECT_EQ(error_of([&] { attend_branches(x, x, x, {.groupings = {frames}, .gate = at::ones({41})}); }),
            "attend: the gate is [41], expected [42]");
}

}  // namespace
}  // namespace moga::test
