// Training of the VAE on stories of a few pixels, and what its loss weighs.
#include "moga/train/vae/task.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <fstream>
#include <limits>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/train/vae/story_clips.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

VaeTrainConfig tiny_config(const std::filesystem::path& out) {
  VaeTrainConfig config;
  config.out = out.string();
  config.device = "cpu";
  config.steps = 6;
  config.batch = 2;
  config.frames = 5;
  config.crop = 32;
  config.pool = 2;
  config.renew_every = 2;
  config.lr = 4e-3;
  config.schedule = {.kind = LrKind::kConstant, .warmup_steps = 2};
  config.statistics_clips = 8;
  config.log_every = 2;
  config.sample_every = 0;
  config.model.base_dim = 8;
  config.model.z_dim = 4;
  config.model.dim_mult = {1, 1, 2, 2};
  config.model.num_res_blocks = 1;
  config.stories = {.width = 48, .height = 32, .frames = 9, .min_shots = 1, .max_shots = 1, .max_persons = 1};
  return config;
}

std::vector<nlohmann::json> log_of(const std::filesystem::path& run) {
  std::ifstream file(run / "log.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TensorMap weights_of(VaeTask& task) {
  TensorMap weights;
  for (const auto& item : task.model()->named_parameters()) weights[item.key()] = item.value().detach().clone();
  return weights;
}

// Runs until `stop_after`, then resumes to the end in a new process' objects. Returns the final weights.
TensorMap train_in_parts(const VaeTrainConfig& config, int64_t stop_after) {
  VaeTask first(config);
  EXPECT_EQ(Trainer(first, loop_config(config)).run(stop_after), TrainEnd::interrupted);
  VaeTask second(config);
  Trainer trainer(second, loop_config(config), resume_checkpoint(config.out, "auto"));
  EXPECT_EQ(trainer.position().step, stop_after);
  EXPECT_EQ(trainer.run(), TrainEnd::done);
  return weights_of(second);
}

TensorMap train_whole(const VaeTrainConfig& config) {
  VaeTask task(config);
  EXPECT_EQ(Trainer(task, loop_config(config)).run(), TrainEnd::done);
  return weights_of(task);
}

void expect_equal(const TensorMap& found, const TensorMap& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, weight] : found) EXPECT_TRUE(at::equal(weight, expected.at(name))) << name;
}

TEST(VaeTask, LearnsAClip) {
  const test::Folder folder;
  VaeTrainConfig config = tiny_config(folder / "run");
  config.steps = 60;
  config.pool = 1;
  config.renew_every = 0;
  config.stories.width = 32;
  config.stories.frames = 5;
  config.batch = 1;
  config.lr = 1e-2;
  config.schedule.warmup_steps = 20;
  config.log_every = 20;
  config.sample_every = 60;
  EXPECT_EQ(train_vae(config), TrainEnd::done);
  const auto lines = log_of(folder / "run");
  EXPECT_LT(lines[2].at("loss").get<double>(), 0.6 * lines[0].at("loss").get<double>());
  EXPECT_TRUE(lines.back().contains("held_out_head_psnr"));
  EXPECT_TRUE(std::filesystem::exists(folder / "run/samples/step-00000060.png"));
}

TEST(VaeTask, TheFinishedModelsLatentsAreNormalised) {
  const test::Folder folder;
  const VaeTrainConfig config = tiny_config(folder / "run");
  train_vae(config);
  Vae vae = load_vae(folder / "run/model", at::kCPU, at::kFloat);
  StoryClips clips({config.stories, 1, "vae stories", config.pool}, at::kCPU);
  clips.advance(4);  // six steps, a new story every second one
  const at::NoGradGuard no_grad;
  const at::Tensor latent = vae->encode(clips.draw({16, 5, 32, 48}, at::detail::createCPUGenerator(3)).video);
  EXPECT_LT(latent.mean({0, 2, 3, 4}).abs().max().item<double>(), 0.3);
  EXPECT_TRUE(at::allclose(latent.std({0, 2, 3, 4}), at::ones({4}), 0, 0.3));
}

TEST(VaeTask, AResumedRunGoesOnBitForBit) {
  const test::Folder folder;
  expect_equal(train_in_parts(tiny_config(folder / "parts"), 3), train_whole(tiny_config(folder / "whole")));
}

TEST(VaeTask, DropoutIsResumedBitForBitToo) {
  const test::Folder folder;
  VaeTrainConfig config = tiny_config(folder / "whole");
  config.model.dropout = 0.2;
  const TensorMap whole = train_whole(config);
  config.out = (folder / "parts").string();
  at::rand({3});  // another state of the default generator
  expect_equal(train_in_parts(config, 2), whole);
  config.model.dropout = 0;
  config.out = (folder / "none").string();
  EXPECT_FALSE(at::equal(train_whole(config).at("conv2.bias"), whole.at("conv2.bias")));
}

// At every checkpoint, also the last one: latents_mean and latents_std do not depend on what this process has drawn.
TEST(VaeTask, AResumedRunWritesTheSameModelFolder) {
  const test::Folder folder;
  train_whole(tiny_config(folder / "whole"));
  const auto model = [&](const char* run) { return folder / run / "model"; };
  for (const int64_t stop : {1, 4, 6}) {
    const VaeTrainConfig config = tiny_config(folder / std::to_string(stop));
    train_in_parts(config, stop);
    const std::filesystem::path resumed = std::filesystem::path(config.out) / "model";
    for (const char* file : {"config.json", "diffusion_pytorch_model.safetensors"})
      EXPECT_EQ(read_text(resumed / file), read_text(model("whole") / file)) << stop << " " << file;
  }
}

TEST(VaeTask, AnInterruptSavesAndEnds) {
  const test::Folder folder;
  set_interrupted(true);
  const TrainEnd end = train_vae(tiny_config(folder / "run"));
  set_interrupted(false);
  EXPECT_EQ(end, TrainEnd::interrupted);
  EXPECT_EQ(list_checkpoints(folder / "run").size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(folder / "run/model"));
}

TEST(VaeTask, RefusesACheckpointOfAnotherModel) {
  const test::Folder folder;
  VaeTrainConfig config = tiny_config(folder / "run");
  VaeTask task(config);
  Trainer(task, loop_config(config)).run(1);
  config.model.base_dim = 16;
  EXPECT_NE(
      test::error_of([&] { train_vae(config, "auto"); }).find("was made with model.base_dim = 8, the config says 16"),
      std::string::npos);
}

// A run that starts from `folder`/init with a frozen encoder.
VaeTrainConfig refinement(const std::filesystem::path& folder, at::ScalarType dtype) {
  VaeTrainConfig config = tiny_config(folder / "run");
  VaeConfig model = config.model;
  model.latents_mean = std::vector<double>(model.z_dim, 0.1);
  model.latents_std = std::vector<double>(model.z_dim, 0.5);
  torch::manual_seed(5);
  save_vae(folder / "init", Vae(model), dtype);
  config.init = (folder / "init").string();
  config.train_encoder = false;
  config.crop = 0;
  config.loss.motion = 4;
  return config;
}

TEST(VaeTask, AFrozenEncoderAndItsStatisticsStayAsTheFileHasThem) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    const test::Folder folder;
    const VaeTrainConfig config = refinement(folder / ".", dtype);
    EXPECT_EQ(train_vae(config), TrainEnd::done);
    const Safetensors before(config.init), after(folder / "run/model");
    int64_t kept = 0, changed = 0;
    for (const std::string& name : before.names()) {
      EXPECT_EQ(after.dtype(name), dtype);
      const bool same = at::equal(before.load(name), after.load(name));
      const bool frozen = name.starts_with("encoder.") || name.starts_with("quant_conv.");
      EXPECT_TRUE(same || !frozen) << name;
      ++(same ? kept : changed);
    }
    EXPECT_GT(kept, 20);
    EXPECT_GT(changed, 20);
    const VaeConfig model = load_vae(folder / "run/model", at::kCPU, at::kFloat)->config();
    EXPECT_EQ(model.latents_mean, std::vector<double>(4, 0.1));
    EXPECT_EQ(model.latents_std, std::vector<double>(4, 0.5));
  }
}

TEST(VaeTask, AResumedRefinementGoesOnBitForBit) {
  const test::Folder folder;
  VaeTrainConfig config = refinement(folder / ".", at::kBFloat16);
  const TensorMap whole = train_whole(config);
  config.out = (folder / "parts").string();
  expect_equal(train_in_parts(config, 3), whole);
}

TEST(VaeTask, RefusesToGoOnFromAnotherModelOrFreezeARandomOne) {
  const test::Folder folder;
  VaeTrainConfig config = refinement(folder / ".", at::kFloat);
  config.model.base_dim = 16;
  EXPECT_NE(test::error_of([&] { VaeTask{config}; }).find("has base_dim = 8, the config says model.base_dim = 16"),
            std::string::npos);
  config.init.clear();
  EXPECT_NE(test::error_of([&] { VaeTask{config}; }).find("train_encoder = false needs init"), std::string::npos);
}

TEST(VaeTask, AStepWithoutAFiniteGradientIsCountedAndLeavesTheMeansFinite) {
  const test::Folder folder;
  VaeTrainConfig config = tiny_config(folder / "run");
  config.steps = 4;
  config.log_every = 4;
  VaeTask task(config);
  Metrics metrics;
  metrics.add(task.step({}));
  const at::Tensor bias = task.model()->named_parameters()["conv2.bias"].detach();
  const at::Tensor good = bias.clone();
  bias.fill_(std::numeric_limits<float>::quiet_NaN());
  metrics.add(task.step({.stage_step = 1, .step = 1}));
  bias.copy_(good);
  nlohmann::json line = metrics.take().means;
  task.complete(line, {});
  EXPECT_EQ(line.at("skipped"), 1);
  EXPECT_TRUE(line.at("loss").is_number() && line.at("psnr").is_number()) << line;
  EXPECT_LT(line.at("psnr").get<double>(), 40);
}

TEST(StoryClips, ThePoolFollowsFromTheNumberDrawn) {
  const VaeTrainConfig config = tiny_config("unused");
  const StoryClips::Source source = {config.stories, 5, "stories", 2};
  StoryClips gradually(source, at::kCPU), at_once(source, at::kCPU), other(source, at::kCPU);
  for (const int64_t drawn : {2, 3, 5}) gradually.advance(drawn);
  at_once.advance(5);
  other.advance(4);
  EXPECT_TRUE(at::equal(gradually.whole(0, 2, 9).video, at_once.whole(0, 2, 9).video));
  EXPECT_FALSE(at::equal(gradually.whole(0, 2, 9).video, other.whole(0, 2, 9).video));
  const Clips clips = at_once.draw({3, 5, 16, 32}, at::detail::createCPUGenerator(1));
  EXPECT_EQ(clips.video.sizes(), at::IntArrayRef({3, 3, 5, 16, 32}));
  EXPECT_EQ(clips.detail.sizes(), at::IntArrayRef({3, 1, 5, 16, 32}));
  EXPECT_LE(clips.video.abs().max().item<float>(), 1.0f);
  EXPECT_EQ(clips.detail.max().item<float>(), 2.0f);
}

class VaeLossTest : public testing::Test {
 protected:
  double total(const at::Tensor& reconstruction) {
    return vae_loss(config_, reconstruction, video_, detail_, {mean_, mean_}).total.item<double>();
  }
  VaeLossConfig config_;
  at::Tensor video_ = at::rand({1, 3, 5, 16, 16}), detail_ = at::zeros({1, 1, 5, 16, 16});
  at::Tensor mean_ = at::zeros({1, 4, 2, 2, 2});
};

TEST_F(VaeLossTest, OfAPerfectReconstructionIsTheDivergenceAlone) {
  EXPECT_EQ(total(video_), 0.0);
  mean_ = at::full_like(mean_, 2.0);
  const at::Tensor zero = at::zeros_like(mean_);
  const double loss = vae_loss(config_, video_, video_, detail_, {mean_, zero}).total.item<double>();
  EXPECT_NEAR(loss, config_.kl * 2.0, 1e-9);
}

TEST_F(VaeLossTest, CountsAnErrorMoreOnAHat) {
  detail_.narrow(3, 0, 8).fill_(2.0);
  at::Tensor on_hat = video_.clone(), beside = video_.clone();
  on_hat.narrow(3, 2, 4).add_(0.1);
  beside.narrow(3, 10, 4).add_(0.1);
  EXPECT_GT(total(on_hat), 2.0 * total(beside));
}

TEST_F(VaeLossTest, CountsAnErrorMoreWhereThePictureMoves) {
  video_ = at::zeros_like(video_);
  for (int64_t t = 0; t < 5; ++t) video_.select(2, t).narrow(2, 2 * t, 4).narrow(3, 0, 4).fill_(1.0);
  at::Tensor moving = video_.clone(), still = video_.clone();
  moving.narrow(3, 0, 4).add_(0.1);
  still.narrow(3, 12, 4).add_(0.1);
  EXPECT_NEAR(total(moving), total(still), 1e-6);
  config_.motion = 20.0;
  EXPECT_GT(total(moving), 1.5 * total(still));
}

TEST(MotionMap, IsTheMeanChangeBeforeAndAfterAFrame) {
  at::Tensor video = at::zeros({1, 3, 4, 8, 8});
  video.narrow(2, 2, 2).fill_(1.0);
  const at::Tensor map = motion_map(video);
  EXPECT_EQ(map.sizes(), at::IntArrayRef({1, 1, 4, 8, 8}));
  EXPECT_TRUE(at::allclose(map.mean({0, 1, 3, 4}), at::tensor({0.0f, 0.5f, 0.5f, 0.0f})));
  EXPECT_EQ(motion_map(video.narrow(2, 0, 1)).sum().item<float>(), 0);
}

TEST_F(VaeLossTest, CountsAWrongColourMoreThanNoise) {
  const at::Tensor wrong = video_ + 0.1, noise = video_ + 0.1 * at::randn_like(video_).sign();
  config_.gradient = 0;
  EXPECT_GT(total(wrong), 1.5 * total(noise));
  config_.gradient = 1;
  EXPECT_GT(total(noise), total(wrong));
}

}  // namespace
}  // namespace moga
