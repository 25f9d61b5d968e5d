// Mean and union of branches against plain operations; the union against a dense softmax whose weights count, by
// coordinates written out here, in how many branches a query sees a key; gradients against finite differences and
// between backends.
#include "moga/attention/combine.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/attention/backends.h"
#include "moga/attention/visual_attention.h"
#include "moga/core/check.h"
#include "moga/core/random.h"
#include "tests/support/gpu.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

// 5 frames of 2×3 tokens in shots of 2 and 3 frames; then 2 frames of 2×3.
const Layout kLayout{{{5, 2, 3, {2, 3}}, {2, 2, 3, {}}}};
constexpr int64_t kTokens = 42, kGroups = 3;

VisualAttentionConfig combined(const std::string& combine, const std::string& gate) {
  VisualAttentionConfig config;
  config.combine = combine;
  config.gate = gate;
  config.groups = kGroups;
  config.windows = {.rows = 2, .columns = 2, .run_frames = 2, .boundary_frames = 1};
  return config;
}

VisualAttentionConfig lse_config(const std::string& gate) { return combined("lse", gate); }

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "combine_test"), at::kDouble);
}

// q, k, v, x, router weight and bias.
Tensors inputs(int64_t heads = 2, int64_t size = 3, uint64_t draw = 0) {
  const int64_t width = heads * size;
  return {random({kTokens, heads, size}, 6 * draw + 1), random({kTokens, heads, size}, 6 * draw + 2),
          random({kTokens, heads, size}, 6 * draw + 3), random({kTokens, width}, 6 * draw + 4),
          random({kGroups, width}, 6 * draw + 5),       random({kGroups}, 6 * draw + 6)};
}

Tensors to(const Tensors& in, at::ScalarType dtype) {
  Tensors out;
  for (const at::Tensor& x : in) out.push_back(x.to(dtype));
  return out;
}

Routing route(const Tensors& in, const std::string& gate) {
  Router router(in[4].size(1), kGroups, gate);
  router->weight = in[4];
  router->bias = in[5];
  return router->forward(in[3], kLayout);
}

at::Tensor run(const Tensors& in, const VisualAttentionConfig& config) {
  const Routing routing = route(in, config.gate);
  const StaticGroupings groupings = static_groupings(kLayout, config, in[0].device());
  return visual_attention(in[0], in[1], in[2], &routing, groupings, config);
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
  const at::Tensor gate = routing.gate.defined() ? routing.gate : at::ones({kTokens}, at::kDouble);
  for (int64_t i = 0; i < kTokens; ++i) {
    std::vector<double> fixed, routed;
    for (int64_t j = 0; j < kTokens; ++j) {
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

TEST(CombineLse, IsOneSoftmaxInWhichAKeyCountsOnceForEachBranch) {
  for (const std::string gate : {"none", "probability"}) {
    const Tensors in = inputs();
    EXPECT_TRUE(close(run(in, lse_config(gate)), dense(in, weights(route(in, gate))), 1e-13)) << gate;
  }
}

TEST(CombineLse, GradientsAreThoseOfTheDenseSoftmax) {
  for (const std::string gate : {"none", "probability"}) {
    Tensors in = inputs();
    for (at::Tensor& x : in) x.requires_grad_();
    const at::Tensor grad = random({kTokens, 2, 3}, 7);
    const auto of = [&](const at::Tensor& y) {
      return torch::autograd::grad({y}, in, {grad}, std::nullopt, false, /*allow_unused=*/true);
    };
    const auto actual = of(run(in, lse_config(gate))), expected = of(dense(in, weights(route(in, gate))));
    for (size_t i = 0; i < in.size(); ++i) {
      EXPECT_EQ(actual[i].defined(), i < 3 || gate == "probability");
      EXPECT_TRUE(!actual[i].defined() || close(actual[i], expected[i], 1e-12)) << gate << " " << i;
    }
  }
}

TEST(CombineLse, GradientsEqualFiniteDifferences) {
  const Tensors in = inputs(1, 2);
  EXPECT_TRUE(gradcheck([](const Tensors& x) { return run(x, lse_config("probability")); }, in));
}

// The output and the gradients of all inputs that have one, over several draws.
Tensors results(const VisualAttentionConfig& config, at::ScalarType dtype, int64_t size, at::Device device) {
  std::vector<Tensors> found(7);
  for (uint64_t draw = 0; draw < 8; ++draw) {
    Tensors in = to(inputs(2, size, draw), at::kBFloat16);  // so that every dtype sees the same numbers
    for (size_t i = 0; i < in.size(); ++i) in[i] = in[i].to(device, i < 3 ? dtype : at::kDouble).requires_grad_();
    const at::Tensor output = run(in, config), grad = random({kTokens, 2, size}, 7 * draw).to(device, dtype);
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

void expect_as_good(const std::string& combine, const std::string& backend, const std::vector<at::ScalarType>& dtypes,
                    int64_t size, at::Device device) {
  for (const std::string gate : {"none", "probability", "straight_through"})
    for (const at::ScalarType dtype : dtypes) {
      VisualAttentionConfig config = combined(combine, gate);
      config.backend = "reference";
      const Tensors plain = results(config, dtype, size, device), exact = results(config, at::kDouble, size, device);
      config.backend = backend;
      const Tensors actual = results(config, dtype, size, device);
      ASSERT_EQ(actual.size(), gate == "none" ? 4 : 7);
      for (size_t i = 0; i < actual.size(); ++i)
        EXPECT_TRUE(as_good_as(actual[i], plain[i], exact[i], 2.0, 1e-6)) << gate << " " << i;
    }
}

TEST(Combine, CpuBackendIsAsGoodAsPlainOperations) {
  for (const std::string combine : {"mean", "lse"})
    expect_as_good(combine, "cpu", {at::kFloat, at::kBFloat16}, 16, at::kCPU);
}

TEST(CombineGpu, FlashIsAsGoodAsPlainOperations) {
  MOGA_NEEDS_GPU();
  for (const std::string combine : {"mean", "lse"})
    expect_as_good(combine, "flash", {at::kHalf, at::kBFloat16}, 16, at::kCUDA);
}

TEST(CombineGpu, Sm90IsAsGoodAsPlainOperations) {
  MOGA_NEEDS_GPU();
  const at::Tensor probe = at::zeros({1, 1, 64}, at::TensorOptions(at::kCUDA).dtype(at::kBFloat16));
  if (!kSm90Backend.can_serve(probe)) GTEST_SKIP() << "no Hopper GPU, or built without MOGA_CUDA";
  for (const std::string combine : {"mean", "lse"})
    for (const int64_t size : {64, 128}) expect_as_good(combine, "sm90", {at::kBFloat16}, size, at::kCUDA);
}

TEST(CombineLse, OfOneGroupingIsAttend) {
  const Tensors in = to(inputs(2, 8), at::kFloat);
  const Grouping frames = frame_groups(kLayout, at::kCPU);
  const Attended one = attend(in[0], in[1], in[2], frames), merged = attend_union(in[0], in[1], in[2], {frames}, {});
  EXPECT_TRUE(close(merged.output, one.output, 1e-6));
  EXPECT_TRUE(close(merged.lse, one.lse, 1e-6));
}

TEST(CombineLse, SameGroupingTwiceChangesNothingButTheSum) {
  const Tensors in = to(inputs(2, 8), at::kFloat);
  const Grouping frames = frame_groups(kLayout, at::kCPU);
  const Attended once = attend(in[0], in[1], in[2], frames);
  const Attended twice = attend_union(in[0], in[1], in[2], {frames, frames}, {});
  EXPECT_TRUE(close(twice.output, once.output, 1e-6));
  EXPECT_TRUE(close(twice.lse, once.lse + std::log(2.0), 1e-6));
}

TEST(CombineLse, AQueryWithoutKeysIsZero) {
  const Rows two = make_rows({2, 1}, {}, at::kCPU), keys = make_rows({3, 0}, {}, at::kCPU);
  for (const std::string backend : {"reference", "cpu"}) {
    Tensors in;
    for (uint64_t i = 0; i < 3; ++i) in.push_back(random({4, 1, 8}, i).to(at::kFloat).requires_grad_());
    const Attended merged = attend_union(in[0], in[1], in[2], {{two, keys}, {two, keys}}, {}, backend);
    EXPECT_EQ(merged.output.slice(0, 2).abs().max().item<float>(), 0);  // row 2 has no keys, row 3 no group
    EXPECT_TRUE(merged.lse.slice(0, 2).isneginf().all().item<bool>());
    const Tensors gradients = torch::autograd::grad({merged.output.sum()}, in);
    for (const at::Tensor& gradient : gradients) EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << backend;
    EXPECT_EQ(gradients[0].slice(0, 2).abs().max().item<float>(), 0) << backend;
  }
}

TEST(CombineMean, ScalesTheLastBranchAndRoundsOnce) {
  const at::Tensor a = random({5, 2, 4}, 1), b = random({5, 2, 4}, 2), gate = random({5}, 3).abs();
  EXPECT_TRUE(close(combine_mean({a, b}, gate), (a + b * gate.view({5, 1, 1})) / 2, 1e-15));
  EXPECT_TRUE(at::equal(combine_mean({a}, {}), a));
  const at::Tensor half = a.to(at::kBFloat16);
  EXPECT_TRUE(at::equal(combine_mean({half, half, half}, {}), half));
}

TEST(CombineMean, IsTheMeanOfAttendAlsoWhereRowsAreInNoGroup) {
  const Grouping frames = frame_groups(kLayout, at::kCPU);
  const Rows some = make_rows({3, 2}, {40, 1, 7, 20, 30}, at::kCPU),
             keys = make_rows({2, 4}, {1, 2, 3, 1, 2, 9}, at::kCPU);
  Tensors in = to(inputs(2, 8), at::kFloat);
  in = {in[0].requires_grad_(), in[1].requires_grad_(), in[2].requires_grad_(),
        random({kTokens}, 9).to(at::kFloat).requires_grad_()};
  const at::Tensor together = attend_mean(in[0], in[1], in[2], {frames, {some, keys}}, in[3]);
  const at::Tensor apart = combine_mean(
      {attend(in[0], in[1], in[2], frames).output, attend(in[0], in[1], in[2], {some, keys}).output}, in[3]);
  EXPECT_TRUE(close(together, apart, 1e-6));
  const at::Tensor grad = random({kTokens, 2, 8}, 10).to(at::kFloat);
  const Tensors actual = torch::autograd::grad({together}, in, {grad}),
                expected = torch::autograd::grad({apart}, in, {grad});
  for (size_t i = 0; i < in.size(); ++i) EXPECT_TRUE(close(actual[i], expected[i], 1e-6)) << i;
}

TEST(Combine, SaysWhatDoesNotFit) {
  const at::Tensor x = at::zeros({42, 1, 8});
  const Grouping frames = frame_groups(kLayout, at::kCPU);
  EXPECT_THROW(attend_union(x, x, x, {}, {}), Error);
  EXPECT_THROW(attend_union(x, x, x, {frames}, at::ones({41})), Error);
  VisualAttentionConfig config = lse_config("probability");
  config.window = config.frame = false;
  EXPECT_THROW(config.validate(), Error);  // the gate would cancel
}

}  // namespace
}  // namespace moga::test
