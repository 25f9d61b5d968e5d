// The MMDiT as a whole: equality with plain masked attention, gradients, special cases, recomputation, wrong input.
#include "moga/model/mmdit/transformer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include <map>

#include "moga/core/module_io.h"
#include "tests/model/mmdit/mmdit_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

using test::as_good_as;
using test::close;
using test::mmdit_input;
using test::random_mmdit;
using test::small_mmdit;
using test::to_double;

const VideoShape kOneShot = {.frames = 3, .rows = 2, .columns = 4, .shot_frames = {}};
const VideoShape kThreeShots = {.frames = 7, .rows = 2, .columns = 2, .shot_frames = {1, 4, 2}};

class MmditTest : public testing::TestWithParam<JointScope> {
 protected:
  void SetUp() override { at::manual_seed(5); }
};
INSTANTIATE_TEST_SUITE_P(Joint, MmditTest, testing::Values(JointScope::kShot, JointScope::kFrame),
                         [](const auto& info) { return std::string(name_of(info.param)); });

// The parameters of `from`, by name, where `to` has them.
void copy_parameters(Mmdit& to, const Mmdit& from) {
  const at::NoGradGuard no_grad;
  const TensorMap source = named_tensors(*from);
  for (auto& [name, tensor] : named_tensors(*to)) tensor.copy_(source.at(name));
}

void expect_plain(const MmditConfig& config, const std::vector<VideoShape>& videos) {
  const at::NoGradGuard no_grad;
  Mmdit model = random_mmdit(config);
  model->to(at::kDouble);
  const VideoModelInput input = to_double(mmdit_input(config, videos));
  const auto velocity = model->forward(input, at::kDouble).velocity, expected = test::plain_mmdit(model, input);
  for (size_t i = 0; i < videos.size(); ++i) EXPECT_TRUE(close(velocity[i], expected[i], 1e-11)) << i;
}

TEST_P(MmditTest, EqualsPlainMaskedAttention) {
  expect_plain(small_mmdit(GetParam()), {kThreeShots, kOneShot});
  MmditConfig full = small_mmdit(GetParam());
  full.moga.kind = AttentionKind::kFull;
  expect_plain(full, {kOneShot, kThreeShots});
}

TEST_P(MmditTest, OneShotOfOneLayerEqualsPlainMaskedAttention) {
  MmditConfig config = small_mmdit(GetParam());
  config.num_layers = 1;  // the first block is the last: the text gives keys and values alone
  expect_plain(config, {kOneShot});
}

TEST_P(MmditTest, OneGroupWithoutGateAndStaticGroupsIsFullAttention) {
  const at::NoGradGuard no_grad;
  MmditConfig config = small_mmdit(GetParam());
  config.moga.groups = 1;
  config.moga.gate = Gate::kNone;
  config.moga.window = config.moga.frame = false;
  Mmdit grouped = random_mmdit(config);
  config.moga.kind = AttentionKind::kFull;
  Mmdit full(config);
  copy_parameters(full, grouped);
  const VideoModelInput input = mmdit_input(config, {kThreeShots, kOneShot});
  const auto a = grouped->forward(input, at::kFloat).velocity, b = full->forward(input, at::kFloat).velocity;
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(close(a[i], b[i], 1e-6)) << i;
}

// Along a random direction of each parameter and of each input by itself.
TEST_P(MmditTest, GradientsAreThoseOfFiniteDifferences) {
  MmditConfig config = small_mmdit(GetParam());
  Mmdit model = random_mmdit(config);
  model->to(at::kDouble);
  VideoModelInput input = to_double(mmdit_input(config, {kThreeShots, kOneShot}));
  std::vector<at::Tensor> leaves = model->parameters();
  for (at::Tensor& tensor : input.latents) leaves.push_back(tensor.requires_grad_());
  leaves.push_back(input.text.requires_grad_());
  const auto loss = [&] {
    const auto output = model->forward(input, at::kDouble);
    return output.velocity[0].square().sum() + output.velocity[1].sin().sum() + output.balance_loss;
  };
  const auto gradients = torch::autograd::grad({loss()}, leaves);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < leaves.size(); ++i) {
    const at::Tensor direction = at::randn_like(leaves[i]);
    const auto moved = [&](double length) {
      leaves[i].add_(direction, length);
      const double value = loss().item<double>();
      leaves[i].sub_(direction, length);
      return value;
    };
    const double expected = (gradients[i] * direction).sum().item<double>();
    EXPECT_NEAR((moved(1e-6) - moved(-1e-6)) / 2e-6, expected, 1e-5 * std::max(1.0, std::abs(expected))) << i;
  }
}

TEST_P(MmditTest, EveryParameterGetsAFiniteGradient) {
  Mmdit model = random_mmdit(small_mmdit(GetParam()));
  const auto output = model->forward(mmdit_input(model->config(), {kThreeShots, kOneShot}), at::kFloat);
  (output.velocity[0].square().mean() + output.velocity[1].square().mean() + output.balance_loss).backward();
  for (const auto& item : model->named_parameters()) {
    const at::Tensor gradient = item.value().grad();
    ASSERT_TRUE(gradient.defined()) << item.key();
    EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << item.key();
    EXPECT_GT(gradient.abs().max().item<float>(), 0.0f) << item.key();
  }
}

TEST_P(MmditTest, RecomputationChangesNoBit) {
  Mmdit model = random_mmdit(small_mmdit(GetParam()));
  const VideoModelInput input = mmdit_input(model->config(), {kThreeShots, kOneShot});
  const auto gradients = [&](const RecomputeConfig& recompute) {
    model->set_recompute(recompute);
    const auto output = model->forward(input, at::kFloat);
    const at::Tensor loss = output.velocity[0].square().sum() + output.velocity[1].sin().sum() + output.balance_loss;
    auto result = torch::autograd::grad({loss}, model->parameters());
    result.push_back(loss.detach());
    return result;
  };
  const auto expected = gradients({Recompute::kNone});
  for (const RecomputeConfig& config : {RecomputeConfig{Recompute::kSelective}, RecomputeConfig{Recompute::kFull},
                                        RecomputeConfig{Recompute::kSelective, true, 1}}) {
    const auto found = gradients(config);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(found[i], expected[i])) << i;
  }
}

TEST_P(MmditTest, RowsAfterACaptionAreNotSeen) {
  const at::NoGradGuard no_grad;
  Mmdit model = random_mmdit(small_mmdit(GetParam()));
  VideoModelInput input = mmdit_input(model->config(), {kThreeShots});
  const at::Tensor before = model->forward(input, at::kFloat).velocity[0];
  input.text = input.text.clone();
  for (size_t shot = 0; shot < input.text_lengths.size(); ++shot)
    input.text[static_cast<int64_t>(shot)].slice(0, input.text_lengths[shot]).zero_();
  EXPECT_TRUE(at::equal(model->forward(input, at::kFloat).velocity[0], before));
  input.text_lengths.clear();  // all rows are text tokens
  EXPECT_FALSE(at::equal(model->forward(input, at::kFloat).velocity[0], before));
}

TEST_P(MmditTest, ACaptionReachesItsShotOnly) {
  const at::NoGradGuard no_grad;
  MmditConfig config = small_mmdit(GetParam());  // windows without boundary keys and frames keep shots apart
  config.moga.routed = false;
  config.moga.windows.boundary_frames = 0;
  Mmdit model = random_mmdit(config);
  VideoModelInput input = mmdit_input(config, {kThreeShots});
  const at::Tensor before = model->forward(input, at::kFloat).velocity[0];
  input.text = input.text.clone();
  input.text[1].normal_();
  const at::Tensor change = (model->forward(input, at::kFloat).velocity[0] - before).abs();  // [C_z, F, Y', X']
  EXPECT_EQ(change.narrow(1, 0, 1).max().item<float>(), 0.0f);
  EXPECT_EQ(change.narrow(1, 5, 2).max().item<float>(), 0.0f);
  EXPECT_GT(change.narrow(1, 1, 4).amax({0, 2, 3}).min().item<float>(), 1e-4f);
}

TEST_P(MmditTest, PackedVideosEqualEachAlone) {
  const at::NoGradGuard no_grad;
  Mmdit model = random_mmdit(small_mmdit(GetParam()));
  const VideoModelInput input = mmdit_input(model->config(), {kThreeShots, kOneShot});
  const auto packed = model->forward(input, at::kFloat).velocity;
  const VideoModelInput second = {.latents = {input.latents[1]},
                                  .timestep = input.timestep.narrow(0, 1, 1),
                                  .text = input.text.narrow(0, 3, 1),
                                  .layout = {{kOneShot}},
                                  .text_lengths = {input.text_lengths[3]}};
  EXPECT_TRUE(close(packed[1], model->forward(second, at::kFloat).velocity[0], 1e-5));
}

TEST_P(MmditTest, AFullStepAndTheHistogramAreThoseOfTheVisualAttention) {
  const at::NoGradGuard no_grad;
  Mmdit model = random_mmdit(small_mmdit(GetParam()));
  MmditConfig full_config = model->config();
  full_config.moga.kind = AttentionKind::kFull;
  Mmdit full(full_config);
  copy_parameters(full, model);
  VideoModelInput input = mmdit_input(model->config(), {kThreeShots, kOneShot});
  EXPECT_TRUE(at::equal(model->forward(input, at::kFloat).group_histogram.sum(1), at::full({2}, 52, at::kLong)));
  input.full_attention = true;
  EXPECT_TRUE(at::equal(model->forward(input, at::kFloat).velocity[0], full->forward(input, at::kFloat).velocity[0]));
}

TEST_F(MmditTest, AWrongInputIsNamed) {
  Mmdit model = random_mmdit(small_mmdit());
  const VideoModelInput good = mmdit_input(model->config(), {kThreeShots});
  VideoModelInput input = good;
  const auto error = [&] { return test::error_of([&] { model->forward(input, at::kFloat); }); };
  input.text_lengths = {1, 2};
  EXPECT_EQ(error(), "transformer: 2 text lengths for 3 shots");
  input.text_lengths = {1, 7, 2};
  EXPECT_EQ(error(), "transformer: a caption of 7 text tokens, expected 1 to 6");
  input = good;
  input.given_frames = {{0}};
  EXPECT_EQ(error(), "MogaMMDiTTransformer3DModel: it takes no given frames, found 1");
  input = good;
  input.condition = {good.latents[0]};
  EXPECT_EQ(error(), "MogaMMDiTTransformer3DModel: it takes no images, found those of 1 videos or shots");
}

TEST_F(MmditTest, RanksCannotShareAVideo) {
  small_mmdit().check_sequence_ranks(1);
  EXPECT_EQ(test::error_of([] { small_mmdit().check_sequence_ranks(2); }),
            "MogaMMDiTTransformer3DModel: 2 ranks cannot share a video, expected 1: joint attention needs all tokens "
            "of a shot on one rank");
}

VideoModelInput on_device(VideoModelInput input, c10::Device device) {
  for (at::Tensor& latent : input.latents) latent = latent.to(device);
  input.text = input.text.to(device);
  input.timestep = input.timestep.to(device);
  return input;
}

// Heads of 64, the size that our kernels serve.
MmditConfig gpu_config(JointScope joint) {
  MmditConfig config = small_mmdit(joint);
  config.attention_head_dim = 64;
  return config;
}

// Velocities of all videos and gradients of all parameters, by name, on the CPU.
std::map<std::string, at::Tensor> results(Mmdit& model, const VideoModelInput& input, at::ScalarType dtype) {
  const auto output = model->forward(input, dtype);
  at::Tensor loss = output.balance_loss;
  std::map<std::string, at::Tensor> found;
  for (size_t i = 0; i < output.velocity.size(); ++i) {
    const at::Tensor& velocity = output.velocity[i];
    loss = loss + (velocity * at::arange(velocity.numel(), velocity.options()).sin().view(velocity.sizes())).sum();
    found["velocity " + std::to_string(i)] = velocity.detach().cpu().clone();
  }
  model->zero_grad();
  loss.backward();
  for (const auto& item : model->named_parameters()) found[item.key()] = item.value().grad().cpu().clone();
  return found;
}

TEST(MmditGpu, VelocitiesAndGradientsAreAsGoodAsTheCpus) {
  MOGA_NEEDS_GPU();
  at::manual_seed(6);
  for (const JointScope joint : {JointScope::kShot, JointScope::kFrame}) {
    Mmdit model = random_mmdit(gpu_config(joint));
    {
      const at::NoGradGuard no_grad;  // no ties: rounding must not move a token to another group
      for (const auto& item : model->named_parameters())
        if (item.key().ends_with("router.weight")) item.value().zero_();
    }
    const VideoModelInput input = mmdit_input(model->config(), {kThreeShots, kOneShot});
    const auto exact = results(model, input, at::kFloat), plain = results(model, input, at::kBFloat16);
    model->to(at::kCUDA);
    for (const auto& [name, found] : results(model, on_device(input, at::kCUDA), at::kBFloat16))
      EXPECT_TRUE(as_good_as(found, plain.at(name), exact.at(name), 2.0, 1e-3)) << name_of(joint) << " " << name;
  }
}

}  // namespace
}  // namespace moga
