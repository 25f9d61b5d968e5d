// Training with sharded state against one process that holds everything: the same losses and gradients over 20 train
// steps, a fraction of the state per rank, the same bits from run to run, and checkpoints that any mesh resumes.
#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "moga/train/loop/checkpoint_parts.h"
#include "tests/support/compare.h"
#include "tests/train/video/rank_runs.h"

namespace moga::test {
namespace {

int64_t bytes_of(const TrainParts& parts) {
  int64_t bytes = 0;
  for (const auto& [part, tensors] : parts)
    for (const auto& item : tensors) bytes += static_cast<int64_t>(item.second.nbytes());
  return bytes;
}

// The rank's pieces of the masters against the same elements of whole ones.
void check_pieces(const VideoTask& own, const VideoTask& whole, double tolerance) {
  const TensorMap expected = to_map(whole.parts()["model"]);
  const Placements placements = own.placements();
  const TrainParts parts = own.parts();
  for (const auto& [name, piece] : parts.at("model")) {
    const Placement& placement = placements.at(name);
    const at::Tensor same = expected.at(name).reshape({-1}).narrow(0, placement.begin, piece.numel());
    const auto found = close(piece, same, tolerance);
    check(static_cast<bool>(found), name, ": ", found.message());
  }
}

MOGA_RANKS(sharded_steps) {
  const TrainConfig config = config_of(run_request(rank_argument()));
  VideoTask whole(config), own(config, Mesh::training(world, config.parallel));
  const auto same = close(steps_of(own, config), steps_of(whole, config), 1e-6);
  check(static_cast<bool>(same), "train steps: ", same.message());
  check_pieces(own, whole, 1e-3);
  const double fraction = double(bytes_of(own.parts())) / double(bytes_of(whole.parts()));
  check(fraction < 1.15 / double(world.size()), "a rank holds ", fraction, " of the state");
}

// Frozen parameters are sharded without state, and keep their values.
MOGA_RANKS(sharded_frozen) {
  TrainConfig config = config_of(run_request(rank_argument()));
  config.text = TextSource::kStored;
  config.train_text_encoder = false;
  TrainModels models = make_models(config, at::kCPU);
  for (const auto& item : models.transformer->named_parameters())
    item.value().set_requires_grad(item.key().find("ffn") == std::string::npos);
  const at::Tensor frozen = models.transformer->named_parameters()["blocks.1.ffn.0.weight"].detach().clone();
  TrainState state(config, models, at::kCPU, at::kFloat, Mesh::training(world, config.parallel));
  const TrainParts parts = state.parts();
  for (const auto& item : parts.at("model"))
    check(item.first.find("ffn") == std::string::npos, item.first, " has state");
  state.gather_to_host(true);
  check(at::equal(models.transformer->named_parameters()["blocks.1.ffn.0.weight"], frozen), "frozen weights changed");
}

// A gradient that is not finite on one rank: no rank takes the step. The next one is clipped by the norm of all ranks.
MOGA_RANKS(sharded_optimizer) {
  const auto pieces = [](double value) { return NamedTensors{{"w", at::full({6}, value)}}; };
  const NamedTensors own = pieces(1);
  AdamW optimizer({.weights = own, .masters = own, .decayed = {true}, .ranks = world}, {.clip = 0.5}, 1);
  optimizer.take({at::full({6}, world.rank() == 1 ? std::numeric_limits<float>::quiet_NaN() : 1.f)});
  check(optimizer.step(0.1).skipped.item<float>() == 1, "a step with a gradient that is not finite was taken");
  check(at::equal(own[0].second, at::ones({6})), "a skipped step changed the weights");
  optimizer.take({at::full({6}, 2.f)});
  const double norm = optimizer.step(0.1).gradient_norm.item<double>();
  check(std::abs(norm - 2 * std::sqrt(6.0 * double(world.size()))) < 1e-5, "the norm is ", norm);
  check(!at::equal(own[0].second, at::ones({6})), "the step changed nothing");
}

MOGA_RANKS(sharded_run) {
  const RunRequest request = run_request(rank_argument());
  const TrainConfig config = config_of(request);
  train(config, request.resume == "-" ? "" : request.resume, "", Mesh::training(world, config.parallel));
}

struct Sharded : testing::TestWithParam<const char*> {
  Folder out_;
  RunRequest request() const { return {.out = out_.path().string(), .shard = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(Ways, Sharded, testing::Values("optimizer", "full"),
                         [](const auto& way) { return std::string(way.param); });

TEST_P(Sharded, TwentyStepsEqualOneProcess) {
  RunRequest request = this->request();
  request.steps = 20;
  EXPECT_EQ(run_on(2, "sharded_steps", request), "") << "sequence 2";
  request.data_ranks = 2;
  EXPECT_EQ(run_on(4, "sharded_steps", request), "") << "data 2 x sequence 2";
}

TEST_P(Sharded, StepsOfSeveralPiecesEqualOneProcess) {
  RunRequest request = this->request();
  request.pieces = 2;
  EXPECT_EQ(run_on(3, "sharded_steps", request), "") << "sequence 3";
}

TEST_P(Sharded, Bfloat16WeightsHaveSameBitsAndResume) {
  const Folder whole, broken;
  RunRequest request = this->request();
  request.weights = "bfloat16";
  request.steps = 4;
  request.out = whole.path().string();
  EXPECT_EQ(run_on(2, "sharded_run", request), "");
  request.out = broken.path().string();
  request.steps = 2;
  EXPECT_EQ(run_on(2, "sharded_run", request), "");
  request.steps = 4;
  request.resume = "auto";
  EXPECT_EQ(run_on(2, "sharded_run", request), "");
  const nlohmann::json files = files_of_newest(whole), resumed = files_of_newest(broken);
  for (const char* part : {"model", "optimizer", "ema"})
    for (const int64_t rank : {0, 1}) {
      const std::string file = shard_file_name(part, rank, 2);
      EXPECT_EQ(resumed.at(file), files.at(file)) << file;
    }
  EXPECT_TRUE(std::filesystem::exists(whole / "model/transformer/diffusion_pytorch_model.safetensors"));
}

TEST_P(Sharded, ResumesOnAnyMesh) {
  RunRequest request = this->request();
  request.steps = 1;
  EXPECT_EQ(run_on(4, "sharded_run", request), "");
  request.resume = "auto";
  for (const int64_t ranks : {1, 2, 3}) {
    ++request.steps;
    EXPECT_EQ(run_on(ranks, "sharded_run", request), "") << ranks << " ranks";
  }
  EXPECT_EQ(resume_checkpoint(request.out, "auto")->step, 4);
}

TEST_P(Sharded, WholeStateIsResumedInShardsToTheSameModel) {
  const Folder whole, mixed;
  RunRequest request = {.out = whole.path().string(), .steps = 4};
  EXPECT_EQ(run_on(1, "sharded_run", request), "");
  request.out = mixed.path().string();
  request.steps = 2;
  EXPECT_EQ(run_on(1, "sharded_run", request), "");
  request = {.out = mixed.path().string(), .resume = "auto", .steps = 4, .shard = GetParam()};
  EXPECT_EQ(run_on(2, "sharded_run", request), "");
  const std::filesystem::path weights = "model/transformer/diffusion_pytorch_model.safetensors";
  const Safetensors expected(whole / weights), actual(mixed / weights);
  for (const std::string& name : expected.names())
    EXPECT_TRUE(close(actual.load(name).to(at::kDouble), expected.load(name).to(at::kDouble), 1e-2)) << name;
}

TEST(Sharding, FrozenParametersHaveNoState) {
  const Folder out;
  EXPECT_EQ(run_on(2, "sharded_frozen", {.out = out.path().string(), .shard = "full"}), "");
}

TEST(Sharding, WorksWithoutRecomputationWhereWeightsAreWhole) {
  const Folder out;
  RunRequest request = {.out = out.path().string(), .shard = "optimizer", .recompute = "none"};
  EXPECT_EQ(run_on(2, "sharded_steps", request), "");
}

TEST(Sharding, AllRanksSkipAndClipTogether) { EXPECT_EQ(run_ranks("sharded_optimizer", 2).line, ""); }

TEST(Sharding, EightProcesses) {
  const Folder out;
  RunRequest request = {.out = out.path().string(), .data_ranks = 4, .steps = 2, .shard = "full"};
  EXPECT_EQ(run_on(8, "sharded_steps", request), "");
}

}  // namespace
}  // namespace moga::test
