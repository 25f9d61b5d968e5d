// A plan from rehearsals of a few layers and small frames predicts what the whole run needs.
#include "moga/bench/plan.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "moga/bench/random_model.h"
#include "moga/model/vae/vae.h"
#include "moga/model/wan/transformer.h"
#include "moga/pipeline/generate.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/support/gpu.h"
#include "tests/support/tiny_model.h"

namespace moga {
namespace {

GenerationPlanRequest small_run() {
  GenerationPlanRequest request;
  TransformerConfig transformer;
  transformer.num_attention_heads = 4;
  transformer.attention_head_dim = 32;
  transformer.ffn_dim = 512;
  transformer.num_layers = 6;
  transformer.text_dim = 64;
  transformer.text_len = 32;
  request.transformer = transformer;
  request.text_encoder = {.vocab_size = 500, .d_model = 64, .d_kv = 16, .d_ff = 128, .num_layers = 4, .num_heads = 4};
  VaeConfig vae;
  vae.base_dim = 8;
  request.vae = vae;
  request.sampler.steps = 3;
  request.video = {6, 8, 10, {3, 3}};
  request.captions = 3;
  return request;
}

bool within(double predicted, double measured, double share) {
  return std::abs(predicted - measured) <= share * measured;
}

TEST(Plan, LayersAreExtrapolated) {
  const GenerationPlanRequest request = small_run();
  const auto rehearse = [&](int64_t layers) {
    DenoisingRehearsal rehearsal{request.transformer, request.video};
    rehearsal.model->set_layers(layers);
    return rehearse_denoising(rehearsal, at::kCPU, at::kFloat);
  };
  const Rehearsed planned = over_layers(6, rehearse), measured = rehearse(6);
  EXPECT_EQ(planned.weight_bytes, measured.weight_bytes);
  EXPECT_TRUE(within(double(planned.work_bytes), double(measured.work_bytes), 0.01))
      << planned.work_bytes << " and " << measured.work_bytes;
}

TEST(Plan, FramesAreExtrapolated) {
  const GenerationPlanRequest request = small_run();
  const auto rehearse = [&](FrameSize frame) { return rehearse_decoding(*request.vae, frame, at::kCPU, at::kFloat); };
  const auto flop = [](FrameSize frame) { return double(frame.tokens()); };
  const FrameSize large{16, 20};
  const Rehearsed planned = over_frames(large, {.flop = 120, .least = {4, 4}}, flop, rehearse);
  const Rehearsed measured = rehearse(large);
  EXPECT_EQ(planned.weight_bytes, measured.weight_bytes);
  EXPECT_TRUE(within(double(planned.work_bytes), double(measured.work_bytes), 0.1))
      << planned.work_bytes << " and " << measured.work_bytes;
}

TEST(Plan, ChunksOfTheFeedForwardLayerShrinkWithTheShareOfTokens) {
  DenoisingRehearsal rehearsal{small_run().transformer, small_run().video};
  rehearsal.model->set_layers(1);
  rehearsal.model->apply({"ffn_dim=4096"}, "test");  // the widest tensor by far
  const Rehearsed whole = rehearse_denoising(rehearsal, at::kCPU, at::kFloat);
  rehearsal.share = 1e-3;  // chunks of 1 MiB
  const Rehearsed chunked = rehearse_denoising(rehearsal, at::kCPU, at::kFloat);
  EXPECT_LT(chunked.work_bytes, whole.work_bytes / 2);
  EXPECT_EQ(chunked.weight_bytes, whole.weight_bytes);
}

// On a CPU the buffers and their source are in the same memory, so both are counted.
TEST(Plan, StreamedBlocksTakeTwoBuffers) {
  GenerationPlanRequest request = small_run();
  const Plan resident = plan_generation(request, at::kCPU, at::kFloat);
  request.stream_weights = StreamWeights::always;
  const Plan plan = plan_generation(request, at::kCPU, at::kFloat);
  EXPECT_FALSE(resident.stream_weights);
  EXPECT_TRUE(plan.stream_weights);
  EXPECT_NE(to_table(plan).find("streamed"), std::string::npos);
  int64_t block = 0;
  for (const auto& item : random_video_model(*request.transformer, at::kCPU, at::kFloat)->named_parameters())
    if (item.key().starts_with("blocks.0.")) block += item.value().nbytes();
  EXPECT_TRUE(within(double(plan.weight_bytes - resident.weight_bytes), 2.0 * double(block), 0.05));
}

TEST(Plan, TwoExpertsAddUp) {
  GenerationPlanRequest request = small_run();
  const Plan one = plan_generation(request, at::kCPU, at::kFloat);
  request.transformer_2 = request.transformer;
  request.boundary_ratio = 0.9;
  request.sampler.guidance_2 = 1.0;
  const Plan both = plan_generation(request, at::kCPU, at::kFloat);
  EXPECT_FALSE(both.rest_experts);  // on a CPU all weights are on the host
  int64_t transformer = 0;
  for (const at::Tensor& parameter : random_video_model(*request.transformer, at::kCPU, at::kFloat)->parameters())
    transformer += static_cast<int64_t>(parameter.nbytes());
  EXPECT_TRUE(within(double(both.weight_bytes - one.weight_bytes), double(transformer), 0.02))
      << both.weight_bytes << " and " << one.weight_bytes << ", a transformer has " << transformer;
  request.sampler.guidance = 1.0;
  EXPECT_LT(plan_generation(request, at::kCPU, at::kFloat).phases[1].peak_bytes, both.phases[1].peak_bytes);
}

TEST(Plan, ImagesAreAPhaseOfTheirOwn) {
  GenerationPlanRequest request = small_run();
  request.transformer->apply({"in_channels=36"}, "test");
  const Plan plan = plan_generation(request, at::kCPU, at::kFloat);
  ASSERT_EQ(plan.phases.size(), 4u);
  EXPECT_EQ(plan.phases[1].name, "images");
  EXPECT_GT(plan.phases[1].seconds, 0);
}

TEST(Plan, ImagesThatTakeTheirFramesPlaceAreEncodedUpToTheLastOne) {
  GenerationPlanRequest request = small_run();
  request.image_frames = 1;
  const Plan one = plan_generation(request, at::kCPU, at::kFloat);
  ASSERT_EQ(one.phases.size(), 4u);
  EXPECT_EQ(one.phases[1].name, "images");
  EXPECT_LT(one.phases[1].seconds, one.phases[3].seconds);
  request.image_frames = 0;
  EXPECT_EQ(plan_generation(request, at::kCPU, at::kFloat).phases.size(), 3u);
}

// The models' weights and the peaks of the pipeline's own stages, measured while it runs.
TEST(Plan, MeetsWhatAGenerationTakes) {
  const test::Folder folder;
  test::write_tiny_model(folder.path());
  const ModelConfigs configs = load_model_configs(folder.path());
  GenerationPlanRequest request;
  request.transformer = configs.transformer;
  request.text_encoder = configs.text_encoder;
  request.vae = configs.vae;
  request.sampler = configs.sampler;
  request.sampler.steps = 4;
  request.video = video_shape({256, 160}, {3, 3}, configs.pixels_per_token());
  request.captions = 3;
  const Plan plan = plan_generation(request, at::kCPU, at::kFloat);

  MemoryMeter meter(at::kCPU);
  Models models = load_models(folder.path(), at::kCPU, at::kFloat);
  EXPECT_TRUE(within(double(plan.weight_bytes), double(meter.current()), 0.02))
      << plan.weight_bytes << " and " << meter.current();
  VideoRequest video;
  video.shape = request.video;
  video.captions = {"Mara waves.", "Mara walks."};
  video.negative_prompt = "blurred";
  meter.reset_peak();
  at::Tensor text = encode_prompts(models, {video}, request.sampler);
  models.text_encoder = nullptr;
  const at::Tensor latent = denoise(models, {video}, {std::exchange(text, {})}, {request.sampler}).front();
  // The text encoder is released before the first step: the peak is that of the text's phase or that of denoising.
  const double denoised = double(meter.peak());
  const double planned = double(std::max(plan.phases[0].peak_bytes, plan.phases[1].peak_bytes));
  EXPECT_TRUE(within(planned, denoised, 0.1)) << planned << " " << denoised;
  models.transformer = nullptr;
  meter.reset_peak();
  decode_frames(*models.vae, latent, [](const at::Tensor&) {});
  const double decoded = double(meter.peak());
  EXPECT_TRUE(within(double(plan.phases[2].peak_bytes), decoded, 0.1)) << plan.phases[2].peak_bytes << " " << decoded;
}

TEST(Plan, NamesWhatDoesNotFitAndWhatWould) {
  Plan plan;
  plan.phases = {{"text", 3 << 20, 1.0}, {"denoise", 7 << 20, 60.0}};
  plan.weight_bytes = 2 << 20;
  plan.memory = {8 << 20, 9 << 20};
  EXPECT_EQ(plan.peak_bytes(), 7 << 20);
  EXPECT_EQ(plan.seconds(), 61.0);
  check_fits(plan);
  EXPECT_NE(to_table(plan).find("it fits"), std::string::npos);
  plan.memory.free = 7 << 20;  // not all that is free can be used
  plan.advice = {"frames up to 64x48 at this duration"};
  const std::string error = test::error_of([&] { check_fits(plan); });
  EXPECT_NE(error.find("would fit: frames up to 64x48"), std::string::npos) << error;
}

TEST(Plan, CountsThePhases) {
  const GenerationPlanRequest request = small_run();
  const Plan plan = plan_generation(request, at::kCPU, at::kFloat);
  ASSERT_EQ(plan.phases.size(), 3u);
  int64_t weights = 0;
  for (const at::Tensor& weight : random_video_model(*request.transformer, at::kCPU, at::kFloat)->parameters())
    weights += weight.nbytes();
  for (const at::Tensor& weight : random_text_encoder(request.text_encoder, at::kCPU, at::kFloat)->parameters())
    weights += weight.nbytes();
  for (const at::Tensor& weight : request.vae->build()->parameters()) weights += weight.nbytes();
  EXPECT_TRUE(within(double(plan.weight_bytes), double(weights), 0.001)) << plan.weight_bytes << " " << weights;
  EXPECT_GT(plan.phases[0].peak_bytes, plan.weight_bytes);
  for (const PlanPhase& phase : plan.phases) {
    EXPECT_GT(phase.peak_bytes, 0) << phase.name;
    EXPECT_GT(phase.seconds, 0) << phase.name;
  }
}

// A rehearsed model is on the device from its first operation, with blocks resident and streamed.
TEST(PlanGpu, IsMadeByRehearsalsOnTheDevice) {
  MOGA_NEEDS_GPU();
  GenerationPlanRequest request = small_run();
  request.vae_dtype = at::kBFloat16;
  for (const StreamWeights streamed : {StreamWeights::never, StreamWeights::always}) {
    request.stream_weights = streamed;
    const Plan plan = plan_generation(request, at::Device("cuda:0"), at::kBFloat16);
    ASSERT_EQ(plan.phases.size(), 3u);
    EXPECT_TRUE(plan.fits()) << to_table(plan);
    for (const PlanPhase& phase : plan.phases) {
      EXPECT_GT(phase.peak_bytes, 0) << phase.name;
      EXPECT_GT(phase.seconds, 0) << phase.name;
    }
  }
}

}  // namespace
}  // namespace moga
