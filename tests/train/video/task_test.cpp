// Training of a video model as a whole: it learns, it resumes bit for bit, it ends with a model folder.
#include "moga/train/video/task.h"

#include <ATen/ATen.h>

#include <fstream>
#include <functional>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

TrainBatch batch_of(const VideoTask& task, const TrainConfig& config, const std::vector<Pick>& picks) {
  return task.load_data(config.stage[0].data, 0).batch(picks);
}

std::string train_error(const TrainConfig& config, const std::string& resume) {
  return test::error_of([&] { train(config, resume); });
}

// Trains up to `stop_after` steps from the newest checkpoint of the run.
TrainPosition train_some(VideoTask& task, const TrainConfig& config, int64_t stop_after = -1) {
  Trainer trainer(task, loop_config(config), resume_checkpoint(config.out, "auto"));
  trainer.run(stop_after);
  return trainer.position();
}

void expect_same_state(const VideoTask& a, const VideoTask& b) {
  const auto first = a.parts(), second = b.parts();
  for (const auto& [part, tensors] : first)
    for (size_t i = 0; i < tensors.size(); ++i)
      EXPECT_TRUE(at::equal(tensors[i].second, second.at(part)[i].second)) << part << " " << tensors[i].first;
}

// Another family with the same arithmetic: its module has its own class, its table names it.
class OtherModel : public TransformerImpl {
 public:
  explicit OtherModel(const TransformerConfig& config) : TransformerImpl(config) {}
};
struct OtherConfig : TransformerConfig {
  explicit OtherConfig(const TransformerConfig& config) : TransformerConfig(config) {}
  const char* class_name() const override { return "Other"; }
  std::unique_ptr<VideoModelConfig> clone() const override { return std::make_unique<OtherConfig>(*this); }
  std::shared_ptr<VideoModel> build(bool) const override { return std::make_shared<OtherModel>(*this); }
};

TEST(VideoTask, TrainsAModelOfAnyFamily) {
  const test::Folder run, other_run;
  TrainConfig config = test::tiny_config(run.path());
  VideoTask wan(config);
  train_some(wan, config, 2);
  config.out = other_run.path().string();
  config.transformer = OtherConfig(test::wan_of(config));
  VideoTask other(config);
  train_some(other, config, 2);
  EXPECT_TRUE(dynamic_cast<OtherModel*>(other.state().models().transformer.get()));
  expect_same_state(wan, other);
}

TEST(VideoTask, OverfitsOneBatch) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  VideoTask task(config);
  const TrainBatch batch = batch_of(task, config, {{0}, {1}, {2}});
  double first = 0, last = 0;
  for (int64_t step = 0; step < 150; ++step) {
    // The same noise and times in every step: the loss can go to zero.
    const StepResult result = task.state().train_step({.step = 0, .lr = 5e-3, .pieces = {batch}});
    last = result.flow.item<double>();
    if (step == 0) first = last;
  }
  EXPECT_LT(last, first / 10) << first << " → " << last;
}

TEST(VideoTask, AccumulatedGradientIsThatOfTheWholeBatch) {
  const test::Folder run;
  const TrainConfig config = test::tiny_config(run.path());
  VideoTask whole(config), pieces(config);
  const StepResult one = whole.state().accumulate_gradient({.pieces = {batch_of(whole, config, {{0}, {1}, {2}, {3}})}});
  const StepResult two = pieces.state().accumulate_gradient(
      {.pieces = {batch_of(pieces, config, {{0}}), batch_of(pieces, config, {{1}, {2}, {3}})}});
  EXPECT_NEAR(one.flow.item<double>(), two.flow.item<double>(), 1e-6);
  const NamedTensors a = whole.state().models().parameters(), b = pieces.state().models().parameters();
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(test::close(b[i].second.grad(), a[i].second.grad(), 2e-5)) << a[i].first;
}

TEST(VideoTask, ResumesBitForBit) {
  const test::Folder straight_run, broken_run;
  const TrainConfig straight_config = test::tiny_config(straight_run.path());
  VideoTask straight(straight_config);
  train_some(straight, straight_config);

  const TrainConfig config = test::tiny_config(broken_run.path());
  VideoTask first(config), resumed(config);
  EXPECT_EQ(train_some(first, config, 3).step, 3);
  EXPECT_EQ(train_some(resumed, config).step, 6);
  expect_same_state(straight, resumed);
}

TEST(VideoTask, AFinishedRunIsResumedWithMoreSteps) {
  const test::Folder whole_run, extended_run;
  TrainConfig config = test::tiny_config(whole_run.path());
  VideoTask whole(config);
  train_some(whole, config);

  config.out = extended_run.path().string();
  config.stage[0].steps = 4;
  EXPECT_EQ(train(config, ""), TrainEnd::done);
  config.stage[0].steps = 6;
  VideoTask extended(config);
  EXPECT_EQ(train_some(extended, config).step, 6);
  expect_same_state(whole, extended);
}

// Trains whole and in two parts; both must end with the same weights, moments and averages.
void expect_exact_resume(const std::function<void(TrainConfig&)>& change) {
  const test::Folder whole_run, broken_run;
  TrainConfig config = test::tiny_config(whole_run.path());
  change(config);
  VideoTask whole(config), first(config), resumed(config);
  train_some(whole, config);
  config.out = broken_run.path().string();
  train_some(first, config, 3);
  train_some(resumed, config);
  expect_same_state(whole, resumed);
}

TEST(VideoTask, ResumesBitForBitWithBfloat16WeightsAndMoments) {
  expect_exact_resume([](TrainConfig& config) {
    config.weights = config.optimizer.moments = Storage::kBfloat16;
    config.dtype = "bfloat16";
    config.ema_place = EmaPlace::kHost;
    config.stage[0].accumulation = 2;
  });
}

TEST(VideoTask, ResumesBitForBitWithoutAnAverageAndFromAStream) {
  expect_exact_resume([](TrainConfig& config) {
    config.ema = 0;
    config.cache = LatentCache::kStream;
  });
}

TEST(VideoTask, TheCacheChangesNothing) {
  const test::Folder device_run, stream_run;
  TrainConfig config = test::tiny_config(device_run.path());
  VideoTask device(config);
  train_some(device, config);
  config.out = stream_run.path().string();
  config.cache = LatentCache::kStream;
  VideoTask stream(config);
  train_some(stream, config);
  expect_same_state(device, stream);
}

TEST(VideoTask, ByTokensResumesBitForBitAndTheCacheChangesNothing) {
  expect_exact_resume([](TrainConfig& config) {
    config.stage[0].batch = StageConfig().batch;
    config.stage[0].tokens_per_batch = 50;  // two or three of the videos of 12 and 18 tokens
    config.stage[0].accumulation = 2;
    config.cache = LatentCache::kStream;
  });
}

TEST(VideoTask, ABatchWithoutRoomForTheLargestVideoIsAnError) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.stage[0].batch = StageConfig().batch;
  config.stage[0].tokens_per_batch = 17;
  EXPECT_EQ(train_error(config, ""),
            "stage 'main': tokens_per_batch is 17, expected at least 18, the tokens of the largest video");
  config.stage[0].batch = 4;
  EXPECT_NE(test::error_of([&] { config.stage[0].validate(); }).find("both batch = 4 and tokens_per_batch = 17"),
            std::string::npos);
}

TEST(VideoTask, WeightsInBfloat16GiveTheLossOfFloat32Masters) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.dtype = "bfloat16";
  VideoTask wide(config);
  config.weights = Storage::kBfloat16;
  VideoTask narrow(config);
  const TrainBatch batch = batch_of(wide, config, {{0}, {1}});
  for (int64_t step = 0; step < 3; ++step) {
    const StepInput input = {.step = step, .lr = 1e-3, .pieces = {batch}};
    const double a = wide.state().train_step(input).flow.item<double>();
    EXPECT_NEAR(narrow.state().train_step(input).flow.item<double>(), a, 1e-3 * a);
  }
  EXPECT_EQ(narrow.state().models().transformer->named_parameters()["blocks.0.self_attn.q.weight"].scalar_type(),
            at::kBFloat16);
  EXPECT_EQ(narrow.parts().at("model")[0].second.scalar_type(), at::kFloat);
}

TEST(VideoTask, RecomputationChangesNoBit) {
  const test::Folder plain_run, recomputed_run;
  TrainConfig config = test::tiny_config(plain_run.path());
  config.recompute.mode = Recompute::kNone;
  VideoTask plain(config);
  train_some(plain, config);
  config.out = recomputed_run.path().string();
  config.recompute = {.mode = Recompute::kFull, .offload_inputs = true};
  VideoTask recomputed(config);
  train_some(recomputed, config);
  expect_same_state(plain, recomputed);
}

TEST(VideoTask, TheNextBatchFollowsFromThePosition) {
  const test::Folder run;
  const TrainConfig config = test::tiny_config(run.path());
  const VideoTask task(config), other(config);
  const StageConfig& stage = config.stage[0];
  const TrainData data = task.load_data(stage.data, 0);
  StageBatches batches = task.batches_of(stage, data), again = other.batches_of(stage, data);
  const TrainPosition later = {.stage_step = 5, .step = 5};
  const auto a = task.next_batch(data, batches, later), b = other.next_batch(data, again, later);
  EXPECT_TRUE(at::equal(a[0].latents.values, b[0].latents.values));
  EXPECT_TRUE(at::equal(a[0].ids, b[0].ids));
  EXPECT_FALSE(at::equal(task.next_batch(data, batches, {})[0].ids, a[0].ids));
}

TEST(VideoTask, InterruptSavesAndRunGoesOnToAModel) {
  const test::Folder run;
  const TrainConfig config = test::tiny_config(run.path());
  set_interrupted(true);
  EXPECT_EQ(train(config, ""), TrainEnd::interrupted);
  set_interrupted(false);
  EXPECT_TRUE(std::filesystem::exists(run / "step-00000001/optimizer.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(run / "model"));
  EXPECT_NE(train_error(config, "").find("--resume auto"), std::string::npos);  // never overwritten silently
  EXPECT_EQ(train(config, "auto"), TrainEnd::done);
  const Transformer model = load_transformer(run / "model/transformer", at::kCPU, at::kFloat);
  EXPECT_EQ(model->config().num_layers, 2);
  for (const char* file : {"model/tokenizer/spiece.model", "model/text_encoder/config.json",
                           "model/scheduler/scheduler_config.json", "model/model_index.json", "config.toml"})
    EXPECT_TRUE(std::filesystem::exists(run / file)) << file;
  const Safetensors transformer(run / "model/transformer"), text(run / "model/text_encoder");  // diffusers' names
  EXPECT_TRUE(transformer.contains("blocks.0.attn1.to_q.weight") && text.contains("shared.weight"));
}

TEST(VideoTask, ResumeWithAnotherModelSeedOrDataIsAnError) {
  const test::Folder run;
  const TrainConfig config = test::tiny_config(run.path());
  VideoTask task(config);
  train_some(task, config, 1);
  TrainConfig other = config;
  other.seed = 2;
  EXPECT_NE(train_error(other, "auto").find("was made with seed = 1, the config says 2"), std::string::npos);
  other = config;
  other.transformer->attention().gate = Gate::kNone;
  EXPECT_NE(train_error(other, "auto").find("transformer.moga.gate"), std::string::npos);
  other = config;
  other.stage[0].lr = 1e-4;
  EXPECT_EQ(train_error(other, "auto"), "");
}

TEST(VideoTask, StagesFollowEachOtherAndTheLogTellsAll) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.stage.push_back(config.stage[0]);
  config.stage[1].name = "second";
  config.stage[1].accumulation = 2;
  config.stage[0].steps = config.stage[1].steps = 2;
  EXPECT_EQ(train(config, ""), TrainEnd::done);
  std::ifstream file(run / "log.jsonl");
  std::string line, last;
  while (std::getline(file, line)) last = line;
  const nlohmann::json log = nlohmann::json::parse(last);
  EXPECT_EQ(log.at("step"), 4);
  EXPECT_EQ(log.at("stage"), "second");
  EXPECT_EQ(log.at("groups").size(), 2u);
  for (const char* key : {"loss", "balance", "gradient_norm", "lr", "videos_per_second", "tokens_per_second", "seconds",
                          "peak_bytes", "imbalance", "gate", "skipped", "gradient_norm_layers"})
    EXPECT_TRUE(log.contains(key)) << key;
  EXPECT_GT(log.at("gradient_norms").at("router").get<double>(), 0);
}

// The log of a run whose routers were changed before its first step, one object per line.
std::vector<nlohmann::json> log_with_routers(TrainConfig config, const std::vector<double>& bias_of_last_layer) {
  VideoTask task(config);
  {
    const at::NoGradGuard no_grad;
    for (const auto& [name, weight] : task.state().models().parameters())
      if (name.ends_with("blocks.1.self_attn.router.bias")) weight.copy_(at::tensor(bias_of_last_layer));
  }
  Trainer(task, loop_config(config)).run();
  std::ifstream file(std::filesystem::path(config.out) / "log.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::string news_of(const std::vector<nlohmann::json>& lines, size_t first_lines) {
  std::string text;
  for (size_t i = 0; i < std::min(first_lines, lines.size()); ++i)
    for (const auto& news : lines[i].value("news", nlohmann::json::array())) text += news.get<std::string>() + "\n";
  return text;
}

// Without a balance loss nothing brings the tokens back.
TEST(VideoTask, APlantedCollapseIsNamedWithinTwentyLogLines) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.log_every = 1;
  config.transformer->attention().balance_weight = 0;
  const auto lines = log_with_routers(config, {0.0, 3.0});
  const std::string news = news_of(lines, 20);
  EXPECT_NE(news.find("routing has collapsed in layer 1: group 1 of layer 1 has "), std::string::npos) << news;
  EXPECT_EQ(news.find("layer 0"), std::string::npos) << news;
}

TEST(VideoTask, AGroupThatStarvesIsNamed) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.log_every = 1;
  config.transformer->attention().groups = 3;
  const std::string news = news_of(log_with_routers(config, {0.0, 0.0, -5.0}), 20);
  EXPECT_NE(news.find("groups starve in layer 1: group 2 of layer 1 has 0 % of the tokens"), std::string::npos) << news;
}

TEST(VideoTask, TheLogHasAPlaceForEachLayerWithAndWithoutARouter) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.transformer->attention().full_layers = {0};
  config.transformer->attention().balance_weight = 0;
  const auto lines = log_with_routers(config, {0.0, 3.0});
  const nlohmann::json& first = lines.at(0);
  EXPECT_TRUE(first.at("groups").at(0).empty() && first.at("gate").at(0).is_null());
  EXPECT_EQ(first.at("groups").at(1).size(), 2u);
  EXPECT_GT(first.at("gate").at(1).get<double>(), 0.9);  // sigmoid(3) = 0.95
  EXPECT_LE(first.at("gate").at(1).get<double>(), 1);
  EXPECT_NE(news_of(lines, 1).find("routing has collapsed in layer 1"), std::string::npos);
}

TEST(VideoTask, EndsWhenItsTimeIsUp) {
  const test::Folder run;
  TrainConfig config = test::tiny_config(run.path());
  config.max_minutes = 1e-9;
  EXPECT_EQ(train(config, ""), TrainEnd::out_of_time);
  EXPECT_TRUE(std::filesystem::exists(run / "model/transformer/config.json"));
}

}  // namespace
}  // namespace moga
