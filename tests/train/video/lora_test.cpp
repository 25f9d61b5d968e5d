// Training of low-rank updates over a frozen model: what is trained, exact resume, the adapter at the end.
#include <ATen/ATen.h>

#include "moga/core/module_io.h"
#include "moga/model/adapter/adapters.h"
#include "moga/model/layers/product_weight.h"
#include "moga/model/registry.h"
#include "moga/train/video/task.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

// A model with full attention and a text encoder, for the run's shards.
const std::filesystem::path& base() {
  static const test::Folder folder;
  static const bool written = [] {
    torch::manual_seed(11);
    TrainConfig config = test::tiny_config("");
    config.transformer->attention().kind = AttentionKind::kFull;
    const auto model = config.transformer->build(/*initialise=*/true);
    model->fill_head();
    model->save(folder / "transformer", at::kFloat, WeightLayout::kDiffusers);
    save_text_encoder(folder / "text_encoder", TextEncoder(config.text_encoder), at::kFloat);
    return true;
  }();
  (void)written;
  return folder.path();
}

TrainConfig lora_config(const std::filesystem::path& out) {
  TrainConfig config = test::tiny_config(out);
  config.init = base().string();
  config.train_text_encoder = false;
  config.lora.rank = 4;
  config.lora.alpha = 8;
  return config;
}

void train_some(VideoTask& task, const TrainConfig& config, int64_t stop_after = -1) {
  Trainer(task, loop_config(config), resume_checkpoint(config.out, "auto")).run(stop_after);
}

TEST(TrainLora, TrainsUpdatesAndRoutersAlone) {
  const test::Folder run;
  const TrainConfig config = lora_config(run.path());
  VideoTask task(config);
  const auto& model = *task.state().models().transformer;
  const at::Tensor frozen = named_tensors(model).at("blocks.0.ffn.0.weight").clone();
  for (const auto& [name, tensor] : task.state().models().parameters())
    EXPECT_TRUE(is_low_rank(name) || is_router(name)) << name;
  const TrainBatch batch = task.load_data(config.stage[0].data, 0).batch({{0}, {1}, {2}});
  double first = 0, last = 0;
  for (int64_t step = 0; step < 60; ++step) {
    last = task.state().train_step({.step = 0, .lr = 2e-2, .pieces = {batch}}).flow.item<double>();
    if (step == 0) first = last;
  }
  EXPECT_LT(last, 0.9 * first) << first << " → " << last;
  EXPECT_TRUE(at::equal(named_tensors(model).at("blocks.0.ffn.0.weight"), frozen));
  EXPECT_GT(named_tensors(model).at("blocks.0.ffn.0.lora_up").abs().max().item<double>(), 0);
}

TEST(TrainLora, ResumesBitForBitOverABfloat16BaseWithRecomputation) {
  const test::Folder whole_run, broken_run;
  TrainConfig config = lora_config(whole_run.path());
  config.weights = Storage::kBfloat16;
  config.dtype = "bfloat16";
  config.recompute.mode = Recompute::kFull;
  VideoTask whole(config), first(config), resumed(config);
  train_some(whole, config);
  config.out = broken_run.path().string();
  train_some(first, config, 3);
  train_some(resumed, config);
  for (const auto& [part, tensors] : whole.parts())
    for (size_t i = 0; i < tensors.size(); ++i)
      EXPECT_TRUE(at::equal(tensors[i].second, resumed.parts().at(part)[i].second)) << part << tensors[i].first;
  const TensorMap weights = named_tensors(*resumed.state().models().transformer);
  EXPECT_EQ(weights.at("blocks.0.ffn.0.weight").scalar_type(), at::kBFloat16);
  EXPECT_EQ(weights.at("blocks.0.ffn.0.lora_up").scalar_type(), at::kFloat);
}

TEST(TrainLora, RecomputationChangesNoBit) {
  const test::Folder run;
  TrainConfig config = lora_config(run.path());
  VideoTask plain(config);
  config.recompute.mode = Recompute::kSelective;
  VideoTask recomputed(config);
  const TrainBatch batch = plain.load_data(config.stage[0].data, 0).batch({{0}, {1}});
  for (VideoTask* task : {&plain, &recomputed})
    for (int64_t step = 0; step < 3; ++step) task->state().train_step({.step = step, .lr = 1e-2, .pieces = {batch}});
  const NamedTensors a = plain.state().models().parameters(), b = recomputed.state().models().parameters();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
}

// The run's adapter on the base computes what the trained model computes.
TEST(TrainLora, EndsWithAnAdapterForTheBase) {
  const test::Folder run;
  TrainConfig config = lora_config(run.path());
  config.ema = 0;
  VideoTask task(config);
  train_some(task, config);
  const std::filesystem::path file = run / "model/adapter.safetensors";
  EXPECT_FALSE(std::filesystem::exists(run / "model/transformer"));
  const std::vector<std::string> settings = adapter_settings(file);
  auto model_config = load_video_model_config(base() / "transformer/config.json");
  model_config->apply(settings, "adapter");
  const Adapters adapters({.adapter = file}, *model_config);
  const auto model = load_video_model(
      base() / "transformer",
      {.device = at::kCPU, .dtype = at::kFloat, .settings = settings, .adapt = adapters.adapt(at::kCPU, at::kFloat)});
  const TensorMap found = named_tensors(*model), trained = named_tensors(*task.state().models().transformer);
  for (const auto& [name, tensor] : trained)
    EXPECT_TRUE(test::close(found.at(name), tensor.detach(), is_low_rank(name) ? 4e-3 : 0)) << name;
}

TEST(TrainLora, NeedsAModelToStartFrom) {
  const test::Folder run;
  TrainConfig config = lora_config(run.path());
  config.init.clear();
  EXPECT_EQ(test::error_of([&] { config.validate(); }), "lora needs init, the model folder whose weights are frozen");
  config.init = "x";
  config.train_text_encoder = true;
  EXPECT_EQ(test::error_of([&] { config.validate(); }),
            "lora trains the transformer alone: train_text_encoder must be false");
}

}  // namespace
}  // namespace moga
