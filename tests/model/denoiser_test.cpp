// The velocity that a sampler sees: packed, guided, and the same as evaluating the model on each video.
#include "moga/model/denoiser.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/safetensors.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

using test::random_transformer;
using test::small_config;

const std::vector<VideoShape> kVideos = {{3, 2, 2, {1, 2}}, {2, 2, 3, {}}};  // 3 shots

at::Tensor random_text(int64_t shots) { return at::randn({shots, 8, 16}); }

TEST(PackedLatents, AreOneTensorAndViewsOfIt) {
  const std::vector<at::Tensor> videos = {at::randn({4, 1, 2, 3}), at::randn({4, 2, 2, 2}).transpose(2, 3)};
  const PackedLatents packed = PackedLatents::pack(videos);
  EXPECT_EQ(packed.counts(), (std::vector<int64_t>{24, 32}));
  for (size_t i = 0; i < videos.size(); ++i) EXPECT_TRUE(at::equal(packed.views()[i], videos[i]));
  packed.values.zero_();
  EXPECT_EQ(packed.views()[1].abs().max().item<float>(), 0);
}

TEST(Guidance, ExtrapolatesFromTheNegativePrompt) {
  const at::Tensor captions = at::randn({5}), negative = at::randn({5});
  EXPECT_TRUE(test::close(guided_velocity(captions, negative, 5.0), 5 * captions - 4 * negative, 1e-6));
  EXPECT_TRUE(at::equal(guided_velocity(captions, negative, 0.0), negative));
}

TEST(Guidance, EqualsDiffusers) {
  const Safetensors file(MOGA_FIXTURES "/../../sampler/fixtures/sampler.safetensors");
  for (const std::string solver : {"euler", "unipc"}) {
    const auto fixture = [&](const std::string& what) { return file.load("guided." + solver + "." + what); };
    EXPECT_TRUE(test::close(guided_velocity(fixture("conditional"), fixture("unconditional"), 4.5),
                            fixture("velocities"), 1e-6))
        << solver;
  }
}

TEST(Denoiser, EvaluatesTheModelOnEachVideo) {
  const at::NoGradGuard no_grad;
  Transformer model = random_transformer(small_config());
  const at::Tensor text = random_text(3);
  const Denoiser denoiser(*model, {.videos = kVideos, .text = text});
  const PackedLatents x = {at::randn({4 * 3 * 16 + 4 * 2 * 24}), denoiser.latent_shapes()};
  const DenoiserOutput output = denoiser.evaluate(x.values, {.timestep = 700});
  VideoModelInput input{x.views(), at::full({2}, 700.0), text, {kVideos}};
  const VideoModelOutput expected = model->forward(input, at::kFloat);
  EXPECT_TRUE(at::equal(output.velocity, PackedLatents::pack(expected.velocity).values));
  EXPECT_TRUE(at::equal(output.group_histogram, expected.group_histogram));
  input.full_attention = true;
  const at::Tensor full = denoiser.evaluate(x.values, {.timestep = 700, .full_attention = true}).velocity;
  EXPECT_TRUE(at::equal(full, PackedLatents::pack(model->forward(input, at::kFloat).velocity).values));
}

TEST(Denoiser, GuidesByTheSecondHalfOfTheText) {
  const at::NoGradGuard no_grad;
  Transformer model = random_transformer(small_config());
  const at::Tensor text = random_text(6), x = at::randn({4 * 3 * 16 + 4 * 2 * 24});
  const auto velocity = [&](const at::Tensor& part, double guidance) {
    const Denoiser denoiser(*model, {.videos = kVideos, .text = part, .guidance = guidance});
    return denoiser.evaluate(x, {.timestep = 300}).velocity;
  };
  const at::Tensor captions = velocity(text.narrow(0, 0, 3), 1.0), negative = velocity(text.narrow(0, 3, 3), 1.0);
  EXPECT_GT(test::difference(captions, negative).relative, 1e-3);
  EXPECT_TRUE(test::close(velocity(text, 3.0), guided_velocity(captions, negative, 3.0), 1e-5));
}

// Their values in x do not matter, in guided evaluations of two videos of which one has given frames.
TEST(Denoiser, ShowsGivenFramesWithTimestepZero) {
  const at::NoGradGuard no_grad;
  Transformer model = random_transformer(small_config());
  const at::Tensor text = random_text(6), x = at::randn({4 * 3 * 16 + 4 * 2 * 24});
  const GivenLatents given = {{0, 2}, at::randn({4, 2, 4, 4})};
  const Denoiser denoiser(*model, {.videos = kVideos, .text = text, .given = {given, {}}, .guidance = 3.0});
  const at::Tensor shown = denoiser.with_given(x);
  const std::vector<at::Tensor> videos = PackedLatents{shown, denoiser.latent_shapes()}.views();
  EXPECT_TRUE(at::equal(videos[0].select(1, 2), given.latents.select(1, 1)));
  EXPECT_TRUE(at::equal(videos[1], PackedLatents{x, denoiser.latent_shapes()}.views()[1]));
  VideoModelInput input{videos, at::full({2}, 300.0), text.narrow(0, 0, 3), {kVideos}};
  input.given_frames = {{0, 2}, {}};
  const auto captions = PackedLatents::pack(model->forward(input, at::kFloat).velocity).values;
  input.text = text.narrow(0, 3, 3);
  const auto negative = PackedLatents::pack(model->forward(input, at::kFloat).velocity).values;
  EXPECT_TRUE(
      test::close(denoiser.evaluate(x, {.timestep = 300}).velocity, guided_velocity(captions, negative, 3.0), 1e-5));
  input.given_frames.clear();
  const auto other = PackedLatents::pack(model->forward(input, at::kFloat).velocity).values;
  EXPECT_GT(test::difference(other, negative).relative, 1e-3);
}

TEST(Denoiser, NamesGivenLatentsThatDoNotFit) {
  Transformer model = random_transformer(small_config());
  const auto error = [&](const std::vector<GivenLatents>& given) {
    return test::error_of([&] { Denoiser(*model, {.videos = kVideos, .text = random_text(3), .given = given}); });
  };
  EXPECT_EQ(error({{}}), "denoiser: given frames of 1 videos, expected 2");
  EXPECT_EQ(error({{{0}, at::zeros({4, 2, 4, 4})}, {}}),
            "denoiser: given latents of video 0 are [4, 2, 4, 4], expected [4, 1, 4, 4]");
}

TEST(Denoiser, TwoExpertsShareTheStepsAtABoundary) {
  const at::NoGradGuard no_grad;
  Transformer high = random_transformer(small_config()), low = random_transformer(small_config());
  const at::Tensor text = random_text(6), x = at::randn({4 * 3 * 16 + 4 * 2 * 24});
  const Denoiser both(*high, {.videos = kVideos,
                              .text = text,
                              .guidance = 3,
                              .low_noise = LowNoiseExpert{low.get(), /*below=*/500, /*guidance=*/1}});
  const Denoiser first(*high, {.videos = kVideos, .text = text, .guidance = 3});
  const Denoiser second(*low, {.videos = kVideos, .text = text.narrow(0, 0, 3)});
  for (const double timestep : {999.0, 500.0, 499.5, 1.0, 700.0}) {
    const DenoiserOutput output = both.evaluate(x, {.timestep = timestep});
    const Denoiser& own = timestep >= 500 ? first : second;
    EXPECT_EQ(output.expert, timestep >= 500 ? 0u : 1u);
    EXPECT_TRUE(at::equal(output.velocity, own.evaluate(x, {.timestep = timestep}).velocity)) << timestep;
  }
}

TEST(Denoiser, TheNegativePromptSeesTheSameImages) {
  const at::NoGradGuard no_grad;
  TransformerConfig config = small_config();
  config.in_channels = 12;
  config.image_dim = 16;
  config.added_kv_proj_dim = config.width();
  Transformer model = random_transformer(config);
  const at::Tensor text = random_text(6), x = at::randn({4 * 3 * 16 + 4 * 2 * 24});
  const std::vector<at::Tensor> condition = {at::randn({8, 3, 4, 4}), at::randn({8, 2, 4, 6})};
  const ImageTokens image{at::randn({10, 16}), {5, 0, 5}};
  const auto velocity = [&](const at::Tensor& part, double guidance) {
    const Denoiser denoiser(
        *model, {.videos = kVideos, .text = part, .condition = condition, .image = image, .guidance = guidance});
    return denoiser.evaluate(x, {.timestep = 300}).velocity;
  };
  const at::Tensor captions = velocity(text.narrow(0, 0, 3), 1.0), negative = velocity(text.narrow(0, 3, 3), 1.0);
  EXPECT_TRUE(test::close(velocity(text, 3.0), guided_velocity(captions, negative, 3.0), 1e-5));
}

TEST(Denoiser, AtGuidanceOneTakesTheCaptionsAlone) {
  Transformer model = random_transformer(small_config());
  EXPECT_EQ(test::error_of([&] { Denoiser(*model, {.videos = kVideos, .text = random_text(6)}); }),
            "denoiser: text [6, 8, 16] for 3 shots");
  EXPECT_EQ(test::error_of([&] { Denoiser(*model, {.videos = kVideos, .text = random_text(3), .guidance = 2}); }),
            "denoiser: text [3, 8, 16] for 6 shots, those of the negative prompts included");
}

}  // namespace
}  // namespace moga
