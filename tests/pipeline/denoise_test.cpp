// Denoising a packed batch equals denoising each video alone; guidance, seeds and interrupts work as documented.
#include "moga/pipeline/denoise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/interrupt.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

using test::denoised;

constexpr Strides kTokenPixels = {4, 16, 16};  // of the tiny model

VideoRequest request_of(int64_t width, std::vector<int64_t> shots, int64_t seed) {
  VideoRequest request;
  request.shape = video_shape({width, 32}, shots, kTokenPixels);
  for (size_t i = 0; i < shots.size(); ++i) request.captions.push_back("Mara waves " + std::to_string(i));
  request.negative_prompt = "blurred";
  request.seed = seed;
  return request;
}

TEST(Denoise, ABatchEqualsItsVideosAlone) {
  Models models = test::tiny_models();
  const std::vector<VideoRequest> requests = {request_of(48, {3, 2}, 1), request_of(32, {2}, 2)};
  const auto batch = denoised(models, requests, {models.sampler});
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch[0].sizes(), (at::IntArrayRef{4, 5, 4, 6}));
  EXPECT_EQ(batch[1].sizes(), (at::IntArrayRef{4, 2, 4, 4}));
  for (size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(test::close(batch[i], denoised(models, {requests[i]}, {models.sampler})[0], 1e-5));
}

TEST(Denoise, GuidanceLeadsFromTheNegativePromptToTheCaptions) {
  Models models = test::tiny_models();
  VideoRequest request = request_of(32, {2}, 1);
  SamplerConfig once = models.sampler;
  once.steps = 1;
  const auto latent_with = [&](double guidance) {
    once.guidance = guidance;
    return denoised(models, {request}, {once})[0];
  };
  const at::Tensor plain = latent_with(1.0), three = latent_with(3.0);
  request.captions = {request.negative_prompt};
  const at::Tensor negative = latent_with(1.0);
  EXPECT_GT(test::difference(plain, negative).relative, 1e-6);
  EXPECT_TRUE(test::close(three - negative, 3.0 * (plain - negative), 1e-2));
}

TEST(Denoise, FullStepsRunFullAttention) {
  Models moga = test::tiny_models();
  Models full = load_models(test::tiny_folder(), at::kCPU, at::kFloat, {"transformer.moga.kind=full"});
  const auto latent = [](Models& models, int64_t full_steps) {
    SamplerConfig sampler = models.sampler;  // 2 steps
    sampler.full_steps = full_steps;
    return denoised(models, {request_of(32, {3, 3}, 1)}, {sampler})[0];
  };
  EXPECT_TRUE(at::equal(latent(moga, 2), latent(full, 0)));
  EXPECT_FALSE(at::equal(latent(moga, 1), latent(full, 0)));
  EXPECT_FALSE(at::equal(latent(moga, 1), latent(moga, 0)));
}

TEST(Denoise, AnObserverSeesTheStepsItAsksFor) {
  Models models = test::tiny_models();
  std::vector<std::pair<int64_t, int64_t>> seen;  // step, layer
  const StepObserver observer = [&](int64_t step) -> AttentionObserver {
    if (step == 0) return {};
    return [&seen, step](int64_t layer, const at::Tensor& x, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
      EXPECT_EQ(x.size(0), 2 * 2 * 4);  // with captions and without, 2 frames of 2×2 tokens
      seen.emplace_back(step, layer);
    };
  };
  denoised(models, {request_of(32, {2}, 1)}, {models.sampler, observer});
  EXPECT_EQ(seen, (std::vector<std::pair<int64_t, int64_t>>{{1, 0}, {1, 1}}));
}

TEST(Denoise, KnowsTheTextTokensOfEachPrompt) {
  const Models models = test::tiny_models();
  VideoRequest request = request_of(32, {1, 1}, 1);
  request.captions = {"Mara waves.", "Tom jumps in the snow."};
  const auto tokens = [&](const std::string& text) {
    return static_cast<int64_t>(models.tokenizer.encode(text).size());
  };
  const int64_t none = tokens(request.negative_prompt);
  EXPECT_EQ(prompt_lengths(models, {request}, models.sampler),
            (std::vector<int64_t>{tokens(request.captions[0]), tokens(request.captions[1]), none, none}));
}

// The text encoder is not needed once the prompts are embedded, nor are they changed by denoising.
TEST(Denoise, NeedsNoTextEncoder) {
  Models models = test::tiny_models();
  const std::vector<VideoRequest> requests = {request_of(32, {2}, 1)};
  const at::Tensor expected = denoised(models, requests, {models.sampler})[0];
  const at::Tensor text = encode_prompts(models, requests, models.sampler);
  EXPECT_EQ(text.size(0), 2);  // with guidance: the caption and the negative prompt
  models.text_encoder = nullptr;
  EXPECT_TRUE(at::equal(denoise(models, requests, {text}, {models.sampler})[0], expected));
  SamplerConfig unguided = models.sampler;
  unguided.guidance = 1.0;
  EXPECT_EQ(test::error_of([&] { denoise(models, requests, {text}, {unguided}); }).find("denoiser: text [2, 24, 16]"),
            0u);
}

TEST(Denoise, IsGivenByTheSeed) {
  Models models = test::tiny_models();
  const auto latent = [&](int64_t seed) { return denoised(models, {request_of(32, {2}, seed)}, {models.sampler})[0]; };
  EXPECT_TRUE(at::equal(latent(1), latent(1)));
  EXPECT_FALSE(at::equal(latent(1), latent(2)));
}

TEST(Denoise, EndsWhenInterrupted) {
  Models models = test::tiny_models();
  set_interrupted(true);
  EXPECT_THROW(denoised(models, {request_of(32, {2}, 1)}, {models.sampler}), Interrupted);
  set_interrupted(false);
}

TEST(Denoise, EndsBetweenTwoBlocksWhenInterrupted) {
  Models models = test::tiny_models();
  std::vector<int64_t> seen;
  const StepObserver observer = [&](int64_t) {
    return [&](int64_t layer, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
      seen.push_back(layer);
      set_interrupted(true);
    };
  };
  EXPECT_THROW(denoised(models, {request_of(32, {2}, 1)}, {models.sampler, observer}), Interrupted);
  set_interrupted(false);
  EXPECT_EQ(seen, std::vector<int64_t>{0});
}

TEST(Denoise, RequestsThatDoNotFitGetOneLine) {
  Models models = test::tiny_models();
  VideoRequest request = request_of(32, {2}, 1);
  request.captions.push_back("one too many");
  const auto error = [&] { return test::error_of([&] { denoised(models, {request}, {models.sampler}); }); };
  EXPECT_EQ(error(), "denoise: 2 captions for 1 shots");
  request.captions.pop_back();
  request.noise = at::zeros({4, 2, 4, 5});
  EXPECT_EQ(error(),
            "noise [4, 2, 4, 5] does not fit the video, expected [4, 2, 4, 4] "
            "(z, latent frames, height/8, width/8)");
  EXPECT_EQ(test::error_of([] {
              video_shape({40, 32}, {1}, kTokenPixels);
            }),
            "a video of 40x32 does not fit the model: width and height must be multiples of 16");
}

TEST(Denoise, TwoExpertsThatRestGiveTheSameLatents) {
  VideoRequest request;
  Models models = load_models(test::two_expert_folder(), at::kCPU, at::kFloat);
  Models resting = load_models(test::two_expert_folder(), at::kCPU, at::kFloat, {}, {.rest_experts = true});
  request.shape = video_shape({48, 32}, {2, 1}, models.pixels_per_token());
  request.captions = {"Mara waves.", "Mara walks."};
  const at::Tensor expected = test::denoised(models, {request}, {models.sampler})[0];
  for (int run = 0; run < 2; ++run)  // the first expert has rested when the second run begins
    EXPECT_TRUE(at::equal(test::denoised(resting, {request}, {models.sampler})[0], expected));
  models.transformer_2 = models.transformer;
  EXPECT_FALSE(at::equal(test::denoised(models, {request}, {models.sampler})[0], expected));
}

}  // namespace
}  // namespace moga
