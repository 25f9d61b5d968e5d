// Training of image-to-video models of each style: steps change the weights, pieces and recomputation change nothing,
// runs resume bit for bit and end with a model folder; a model of images starts from one of text alone.
#include <ATen/ATen.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/model/model_index.h"
#include "moga/train/video/task.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/train/tiny_images.h"
#include "tests/train/vae/tiny_vae.h"

namespace moga {
namespace {

struct ImageRuns : testing::TestWithParam<ImageStyle> {
  test::Folder run_;
  TrainConfig config() const { return test::tiny_image_config(GetParam(), run_.path()); }
};
INSTANTIATE_TEST_SUITE_P(Styles, ImageRuns,
                         testing::Values(ImageStyle::kCondition, ImageStyle::kEmbedded, ImageStyle::kGiven),
                         [](const auto& style) { return std::string(name_of(style.param)); });

TrainBatch batch_of(const VideoTask& task, const TrainConfig& config, const std::vector<Pick>& picks) {
  return task.load_data(config.stage[0].data, 0).batch(picks);
}

void train_some(VideoTask& task, const TrainConfig& config, int64_t stop_after = -1) {
  Trainer(task, loop_config(config), resume_checkpoint(config.out, "auto")).run(stop_after);
}

void expect_same_state(const VideoTask& a, const VideoTask& b) {
  const auto first = a.parts(), second = b.parts();
  for (const auto& [part, tensors] : first)
    for (size_t i = 0; i < tensors.size(); ++i)
      EXPECT_TRUE(at::equal(tensors[i].second, second.at(part)[i].second)) << part << " " << tensors[i].first;
}

// A head of zeros, as Wan2.1 begins with, lets no gradient through in the first step.
TEST_P(ImageRuns, TwoStepsChangeEveryWeight) {
  TrainConfig config = this->config();
  config.optimizer.weight_decay = 0;
  VideoTask task(config);
  std::vector<at::Tensor> before;
  const NamedTensors weights = task.state().models().parameters();
  for (const auto& item : weights) before.push_back(item.second.detach().clone());
  for (int64_t step = 0; step < 2; ++step)
    task.state().train_step({.step = step, .lr = 1e-2, .pieces = {batch_of(task, config, {{0}, {1}})}});
  for (size_t i = 0; i < before.size(); ++i) EXPECT_FALSE(at::equal(weights[i].second, before[i])) << weights[i].first;
}

TEST_P(ImageRuns, PiecesGiveTheGradientOfTheWholeBatch) {
  const TrainConfig config = this->config();
  VideoTask whole(config), pieces(config);
  const StepResult one = whole.state().accumulate_gradient({.pieces = {batch_of(whole, config, {{3}, {4}, {5}, {6}})}});
  const StepResult two = pieces.state().accumulate_gradient(
      {.pieces = {batch_of(pieces, config, {{3}}), batch_of(pieces, config, {{4}, {5}, {6}})}});  // 4: nothing is given
  EXPECT_NEAR(one.flow.item<double>(), two.flow.item<double>(), 1e-6);
  const NamedTensors a = whole.state().models().parameters(), b = pieces.state().models().parameters();
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(test::close(b[i].second.grad(), a[i].second.grad(), 2e-5)) << a[i].first;
}

TEST_P(ImageRuns, ResumeBitForBitFromAStreamWithRecomputation) {
  const test::Folder broken_run;
  TrainConfig config = this->config();
  VideoTask whole(config);
  train_some(whole, config);
  config.out = broken_run.path().string();
  config.cache = LatentCache::kStream;
  config.recompute = {.mode = Recompute::kFull, .offload_inputs = true};
  VideoTask first(config), resumed(config);
  train_some(first, config, 3);
  train_some(resumed, config);
  expect_same_state(whole, resumed);
}

TEST_P(ImageRuns, EndWithAModelFolderOfTheirPipeline) {
  TrainConfig config = this->config();
  config.stage[0].steps = 2;
  EXPECT_EQ(train(config, ""), TrainEnd::done);
  const ModelIndex index = load_model_index(run_ / "model");
  EXPECT_EQ(index.image_to_video, GetParam() != ImageStyle::kGiven);
  EXPECT_EQ(index.expand_timesteps, GetParam() == ImageStyle::kGiven);
  const Transformer model = load_transformer(run_ / "model/transformer", at::kCPU, at::kFloat);
  EXPECT_EQ(model->config().conditioning().channels, config.transformer->conditioning().channels);
  EXPECT_EQ(model->config().conditioning().image_dim, config.transformer->conditioning().image_dim);
}

TEST_P(ImageRuns, MeasureTheHeldOutLossAndDrawSamples) {
  TrainConfig config = this->config();
  test::save_tiny_vae(run_ / "vae", 4);
  config.vae = (run_ / "vae").string();
  config.stage[0].steps = 2;
  config.held_out = {.every = 2, .videos = 2, .times = 2};
  config.samples = {.every = 2, .data = "", .videos = 2, .columns = 3, .sampler = {.steps = 2, .guidance = 2.0}};
  EXPECT_EQ(train(config, ""), TrainEnd::done);
  for (const char* name : {"samples/step-00000002-0.png", "samples/step-00000002-1.png"})
    EXPECT_TRUE(std::filesystem::exists(run_ / name)) << name;
  EXPECT_NE(read_text(run_ / "log.jsonl").find("held_out_loss"), std::string::npos);
}

TEST_P(ImageRuns, NameDataThatTheyCannotTrainOn) {
  TrainConfig config = this->config();
  config.stage[0].data = (test::tiny_data() / "shards").string();
  const std::string without = test::error_of([&] { train(config, ""); });
  const bool given = GetParam() == ImageStyle::kGiven;  // which trains on whole videos as well
  EXPECT_EQ(without.find("stores no images, and an image-to-video model is trained") != std::string::npos, !given);
  const ImageStyle other = given ? ImageStyle::kCondition : ImageStyle::kGiven;
  config.out = (run_ / "other").string();
  config.stage[0].data = (test::tiny_image_data(other) / "shards").string();
  EXPECT_NE(test::error_of([&] { train(config, ""); }).find("stores images in form "), std::string::npos);
}

// The frame count of a stage cuts shots and their images.
TEST_P(ImageRuns, TrainOnTheFirstFramesAlone) {
  TrainConfig config = this->config();
  for (const int64_t frames : {1, 2}) {
    config.stage[0].frames = frames;
    config.stage[0].steps = 1;
    config.out = (run_ / std::to_string(frames)).string();
    EXPECT_EQ(train(config, ""), TrainEnd::done);
  }
}

// A folder to start from, with a head that is not zero.
std::filesystem::path model_of(const TrainConfig& config, const std::filesystem::path& folder) {
  torch::manual_seed(12);
  const auto model = config.transformer->build(/*initialise=*/true);
  model->fill_head();
  model->save(folder / "transformer", at::kFloat, WeightLayout::kDiffusers);
  save_text_encoder(folder / "text_encoder", TextEncoder(config.text_encoder), at::kFloat);
  return folder;
}

TEST(ImageModels, StartAsTheModelOfTextThatTheyAreMadeFrom) {
  const test::Folder run;
  TrainConfig config = test::tiny_image_config(ImageStyle::kCondition, run / "run");
  config.init = model_of(test::tiny_config(""), run / "text").string();
  const TrainModels models = make_models(config, at::kCPU);
  Transformer text = load_transformer(run / "text/transformer", at::kCPU, at::kFloat);
  VideoTask task(config);
  const TrainBatch batch = batch_of(task, config, {{0}, {1}});
  VideoModelInput input{.latents = batch.latents.views(),
                        .timestep = at::full({2}, 500.0, at::kFloat),
                        .text = at::randn({4, 12, 16}),
                        .layout = batch.layout};
  const at::NoGradGuard no_grad;
  const auto expected = text->forward(input, at::kFloat).velocity;
  input.condition = batch.condition;
  const auto found = models.transformer->forward(input, at::kFloat).velocity;
  for (size_t video = 0; video < 2; ++video) EXPECT_TRUE(test::close(found[video], expected[video], 1e-6));
}

TEST(ImageModels, LowRankUpdatesOfAnImageModelEndAsAnAdapter) {
  const test::Folder run;
  TrainConfig config = test::tiny_image_config(ImageStyle::kEmbedded, run.path());
  config.init = model_of(config, run / "base").string();
  config.train_text_encoder = false;
  config.lora.rank = 4;
  config.lora.alpha = 8;
  VideoTask task(config);
  const TrainBatch batch = batch_of(task, config, {{0}, {1}, {2}});
  double first = 0, last = 0;
  for (int64_t step = 0; step < 60; ++step) {
    last = task.state().train_step({.step = 0, .lr = 2e-2, .pieces = {batch}}).flow.item<double>();
    if (step == 0) first = last;
  }
  EXPECT_LT(last, 0.9 * first) << first << " → " << last;
  task.save_model({}, run / "adapted");
  EXPECT_TRUE(std::filesystem::exists(run / "adapted/adapter.safetensors"));
}

}  // namespace
}  // namespace moga
