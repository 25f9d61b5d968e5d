// The mean of routed, window and frame attention: its branches, its gradients, packed videos.
#include "moga/attention/visual_attention.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include "moga/core/config.h"
#include "moga/core/random.h"
#include "tests/support/error.h"
#include "tests/support/gradcheck.h"

namespace moga::test {
namespace {

const Layout kLayout{{{5, 2, 3, {2, 3}}, {2, 4, 2, {}}}};  // 30 + 16 tokens

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "visual_attention_test"), at::kDouble);
}

VisualAttentionConfig small_config() {
  VisualAttentionConfig config;
  config.groups = 3;
  config.windows = {2, 2, 2, 1};
  return config;
}

// Inputs of a layout: q, k, v, x, router weight and bias.
Tensors inputs(const Layout& layout, int64_t heads, int64_t size, int64_t groups) {
  const int64_t n = layout.tokens(), width = heads * size;
  return {random({n, heads, size}, 1), random({n, heads, size}, 2), random({n, heads, size}, 3),
          random({n, width}, 4),       random({groups, width}, 5),  random({groups}, 6)};
}

at::Tensor run(const Tensors& in, const Layout& layout, const VisualAttentionConfig& config) {
  Router router(in[4].size(1), in[4].size(0), config.gate);
  router->weight = in[4];
  router->bias = in[5];
  const StaticGroupings groupings = static_groupings(layout, config, at::kCPU);
  if (!config.uses_router()) return visual_attention(in[0], in[1], in[2], nullptr, groupings, config);
  const Routing routing = router->forward(in[3], layout);
  return visual_attention(in[0], in[1], in[2], &routing, groupings, config);
}

TEST(VisualAttention, IsTheMeanOfItsBranches) {
  const Tensors in = inputs(kLayout, 2, 4, 3);
  at::Tensor sum = at::zeros_like(in[0]);
  for (int branch = 0; branch < 3; ++branch) {
    VisualAttentionConfig config = small_config();
    config.routed = branch == 0;
    config.window = branch == 1;
    config.frame = branch == 2;
    sum += run(in, kLayout, config);
  }
  EXPECT_TRUE(close(run(in, kLayout, small_config()), sum / 3, 1e-14));
}

TEST(VisualAttention, OneGroupWithoutGateAndStaticGroupsIsFullAttention) {
  Tensors in = inputs(kLayout, 2, 8, 1);
  for (at::Tensor& x : in) x = x.to(at::kFloat).requires_grad_();
  VisualAttentionConfig full, one;
  full.kind = AttentionKind::kFull;
  one.groups = 1;
  one.gate = Gate::kNone;
  one.window = one.frame = false;
  const at::Tensor a = run(in, kLayout, full), b = run(in, kLayout, one), grad = at::randn_like(a);
  EXPECT_TRUE(at::equal(a, b));
  const auto da = torch::autograd::grad({a}, {in[0], in[1], in[2]}, {grad});
  const auto db = torch::autograd::grad({b}, {in[0], in[1], in[2]}, {grad});
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(da[i], db[i]));
}

TEST(VisualAttention, GradientsEqualFiniteDifferences) {
  const Layout layout{{{4, 2, 2, {1, 3}}, {1, 2, 3, {}}}};
  const auto f = [&](const Tensors& in) { return run(in, layout, small_config()); };
  EXPECT_TRUE(gradcheck(f, inputs(layout, 2, 2, 3)));
}

TEST(VisualAttention, PackedBatchEqualsSingleVideos) {
  const auto offsets = kLayout.video_offsets();
  for (const AttentionKind kind : {AttentionKind::kMoga, AttentionKind::kFull}) {
    VisualAttentionConfig config = small_config();
    config.kind = kind;
    Tensors in = inputs(kLayout, 2, 4, 3);
    for (at::Tensor& x : in) x.requires_grad_();
    Tensors outputs;
    for (size_t b = 0; b < 2; ++b) {
      Tensors part = in;
      for (int i = 0; i < 4; ++i) part[i] = in[i].slice(0, offsets[b], offsets[b + 1]);
      outputs.push_back(run(part, {{kLayout.videos[b]}}, config));
    }
    const at::Tensor packed = run(in, kLayout, config), singles = at::cat(outputs), grad = at::randn_like(packed);
    EXPECT_TRUE(close(packed, singles, 1e-14));
    const auto a = torch::autograd::grad({packed}, in, {grad}, std::nullopt, false, /*allow_unused=*/true);
    const auto b = torch::autograd::grad({singles}, in, {grad}, std::nullopt, false, /*allow_unused=*/true);
    for (size_t i = 0; i < in.size(); ++i)
      EXPECT_TRUE(!a[i].defined() || close(a[i], b[i], 1e-13)) << name_of(kind) << " " << i;
  }
}

TEST(VisualAttention, KeepsTheDtypeOfItsInputs) {
  Tensors in = inputs(kLayout, 2, 16, 3);
  const at::Tensor exact = run(in, kLayout, small_config());
  for (at::Tensor& x : in) x = x.to(at::kBFloat16);
  const at::Tensor rounded = run(in, kLayout, small_config());
  EXPECT_EQ(rounded.scalar_type(), at::kBFloat16);
  EXPECT_LT(difference(rounded, exact).relative, 0.1);  // a token near a tie may change its group
}

TEST(VisualAttention, ConfigNamesWhatIsWrong) {
  const auto message = [](auto change) {
    VisualAttentionConfig config;
    change(config);
    return error_of([&] { config.validate(); });
  };
  const auto says = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(says(message([](auto& c) { c.routed = c.window = c.frame = false; }), "needs one of routed, window"));
  EXPECT_TRUE(says(message([](auto& c) { c.groups = 0; }), "groups = 0, expected 1 to 4096"));
  EXPECT_TRUE(says(message([](auto& c) { c.windows.run_frames = 0; }), "run_frames = 0"));
  EXPECT_TRUE(says(message([](auto& c) { c.full_layers = {1, 1}; }), "full_layers has 1"));
  EXPECT_TRUE(says(message([](auto& c) { c.balance_weight = -1; }), "balance_weight = -1"));
  EXPECT_TRUE(says(message([](auto& c) { c.combine = Combine::kLse, c.window = c.frame = false; }), "use gate none"));
  VisualAttentionConfig().validate();
}

TEST(VisualAttention, ConfigReadsChoicesByName) {
  const auto config = parse_json<VisualAttentionConfig>(
      R"({"kind": "full", "gate": "none", "combine": "lse", "balance": "paper", "backend": "flash"})", "test");
  EXPECT_EQ(config.kind, AttentionKind::kFull);
  EXPECT_EQ(config.gate, Gate::kNone);
  EXPECT_EQ(config.combine, Combine::kLse);
  EXPECT_EQ(config.balance, BalanceForm::kPaper);
  EXPECT_EQ(config.backend, AttentionBackend::kFlash);
  EXPECT_NE(to_toml(VisualAttentionConfig()).find("gate = \"probability\""), std::string::npos);
  const std::string error = error_of([] { parse_json<VisualAttentionConfig>(R"({"gate": "soft"})", "test"); });
  EXPECT_NE(error.find("gate 'soft' is not one of probability, straight_through, none"), std::string::npos) << error;
}

TEST(VisualAttention, NeedsARoutingOfTheLayout) {
  const Tensors in = inputs(kLayout, 1, 4, 3);
  const StaticGroupings groupings = static_groupings(kLayout, small_config(), at::kCPU);
  const auto message = [&](const at::Tensor& x) {
    return error_of([&] { visual_attention(x, x, x, nullptr, groupings, small_config()); });
  };
  EXPECT_EQ(message(in[0]), "visual attention: routed groups need a routing");
  EXPECT_EQ(message(in[0].slice(0, 1)), "visual attention: q has 45 tokens, the layout 46");
}

}  // namespace
}  // namespace moga::test
