// The flow loss against a model that knows the answer, and the distribution of the times.
#include "moga/train/video/flow_loss.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "moga/core/random.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

FlowInput two_videos() {
  torch::manual_seed(1);
  FlowInput input;
  input.latents = {torch::randn({2 * 3 * 4 * 4 + 2 * 1 * 4 * 2}), {{2, 3, 4, 4}, {2, 1, 4, 2}}};
  input.noise = torch::randn_like(input.latents.values);
  input.times = torch::tensor({0.25f, 0.75f});
  return input;
}

TEST(FlowLoss, IsZeroForTheTrueVelocityAndTheErrorOtherwise) {
  const FlowInput input = two_videos();
  const PackedLatents truth = {input.noise - input.latents.values, input.latents.shapes};
  for (const double error : {0.0, 0.5}) {
    const auto model = [&](const VideoModelInput&) {
      VideoModelOutput output;
      for (const at::Tensor& video : truth.views()) output.velocity.push_back(video + error);
      return output;
    };
    EXPECT_NEAR(flow_loss(model, input).flow.item<double>(), error * error, 1e-6);
  }
}

TEST(FlowLoss, MixesDataAndNoiseByTheTimeOfEachVideo) {
  const FlowInput input = two_videos();
  const auto x0 = input.latents.views();
  const auto noise = PackedLatents{input.noise, input.latents.shapes}.views();
  const auto model = [&](const VideoModelInput& seen) {
    EXPECT_TRUE(test::close(seen.latents[0], 0.75 * x0[0] + 0.25 * noise[0], 1e-6));
    EXPECT_TRUE(test::close(seen.latents[1], 0.25 * x0[1] + 0.75 * noise[1], 1e-6));
    EXPECT_TRUE(test::close(seen.timestep, torch::tensor({250.f, 750.f}), 1e-6));
    VideoModelOutput output;
    output.velocity = seen.latents;
    return output;
  };
  flow_loss(model, input);
}

// The first video's frames 0 and 2 are given; the second has none.
FlowInput two_videos_with_given() {
  FlowInput input = two_videos();
  input.given = {{{0, 2}, torch::randn({2, 2, 4, 4})}, {}};
  return input;
}

TEST(FlowLoss, IsTheMeanOverTheElementsThatAreNotGiven) {
  const FlowInput input = two_videos_with_given();
  const PackedLatents predicted = {torch::randn_like(input.latents.values), input.latents.shapes};
  const auto model = [&](const VideoModelInput&) {
    VideoModelOutput output;
    output.velocity = predicted.views();
    return output;
  };
  const auto x0 = input.latents.views(), noise = PackedLatents{input.noise, input.latents.shapes}.views();
  double sum = 0;
  const auto add = [&](size_t video, int64_t frame) {
    const auto of = [&](const at::Tensor& x) { return x.select(1, frame).to(at::kDouble); };
    sum += (of(predicted.views()[video]) - (of(noise[video]) - of(x0[video]))).square().sum().item<double>();
  };
  add(0, 1);
  add(1, 0);
  constexpr int64_t kCounted = 2 * 1 * 4 * 4 + 2 * 1 * 4 * 2;
  EXPECT_EQ(counted_elements(input.latents, input.given), kCounted);
  EXPECT_NEAR(flow_loss(model, input).flow.item<double>(), sum / kCounted, 1e-6);
}

TEST(FlowLoss, ShowsGivenFramesAsTheyAreAndTheOthersNoisy) {
  const FlowInput input = two_videos_with_given();
  const at::Tensor before = input.latents.values.clone();
  const auto x0 = input.latents.views(), noise = PackedLatents{input.noise, input.latents.shapes}.views();
  const auto model = [&](const VideoModelInput& seen) {
    EXPECT_EQ(seen.given_frames, (std::vector<std::vector<int64_t>>{{0, 2}, {}}));
    for (const int64_t place : {0, 1})
      EXPECT_TRUE(at::equal(seen.latents[0].select(1, 2 * place), input.given[0].latents.select(1, place)));
    EXPECT_TRUE(test::close(seen.latents[0].select(1, 1), (0.75 * x0[0] + 0.25 * noise[0]).select(1, 1), 1e-6));
    EXPECT_TRUE(test::close(seen.latents[1], 0.25 * x0[1] + 0.75 * noise[1], 1e-6));
    VideoModelOutput output;
    output.velocity = seen.latents;
    return output;
  };
  flow_loss(model, input);
  EXPECT_TRUE(at::equal(input.latents.values, before));
}

// P(t ≤ x) = u(x) = x / (s - (s - 1) x) for uniform u.
TEST(SampleTimes, UniformTimesFollowTheShift) {
  const FlowConfig config = {.timesteps = Timesteps::kUniform, .shift = 5};
  const at::Tensor t = sample_times(config, 40000, random_stream(1, "times"));
  for (const double x : {0.3, 0.6, 0.9})
    EXPECT_NEAR((t <= x).to(at::kFloat).mean().item<double>(), x / (5 - 4 * x), 0.01) << x;
}

TEST(SampleTimes, LogitNormalTimesAreShiftedAroundTheirMedian) {
  const FlowConfig config = {.timesteps = Timesteps::kLogitNormal, .shift = 3};
  const at::Tensor t = sample_times(config, 40000, random_stream(1, "times"));
  EXPECT_NEAR(t.median().item<double>(), 0.75, 0.01);  // u = 1/2 → 3/2 / 2
  EXPECT_GT(t.min().item<double>(), 0);
  EXPECT_LT(t.max().item<double>(), 1);
}

}  // namespace
}  // namespace moga
