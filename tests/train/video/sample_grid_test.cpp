// Contact sheets generated during training.
#include "moga/train/video/sample_grid.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/random.h"
#include "moga/data/video/image.h"
#include "moga/train/video/task.h"
#include "tests/train/tiny_run.h"
#include "tests/train/vae/tiny_vae.h"

namespace moga {
namespace {

TEST(SampleGrid, DrawsASheetAVideoWithARowAShot) {
  const test::Folder run;
  test::save_tiny_vae(run / "vae", 4);
  TrainConfig config = test::tiny_config(run.path());
  config.vae = (run / "vae").string();
  config.samples = {.every = 4, .data = "", .videos = 2, .columns = 3, .sampler = {.steps = 2}};
  EXPECT_EQ(train(config, ""), TrainEnd::done);
  for (const char* name : {"step-00000004-0", "step-00000004-1", "step-00000006-0", "step-00000006-1"})
    EXPECT_TRUE(std::filesystem::exists(run.path() / "samples" / (std::string(name) + ".png"))) << name;
  const at::Tensor sheet = load_png(run.path() / "samples" / "step-00000006-1.png");  // latents of 4 × 4
  EXPECT_GE(sheet.size(1), 2 * 32);
  EXPECT_GE(sheet.size(2), 3 * 32);
  EXPECT_LT(sheet.size(1), 3 * 32);
  EXPECT_TRUE(std::filesystem::exists(run / "model/vae/config.json"));
}

// Samples use all settings of the config's sampler, as `moga generate` does.
TEST(SampleGrid, FollowsTheSampler) {
  const test::Folder run;
  test::save_tiny_vae(run / "vae", 4);
  TrainConfig config = test::tiny_config(run.path());
  config.vae = (run / "vae").string();
  const auto sheet_of = [&](const SamplerConfig& sampler) {
    config.samples = {.videos = 1, .columns = 3, .sampler = sampler};
    TrainState state(config, at::kCPU, at::kFloat);
    for (auto& [name, weight] : state.ema().weights())
      weight.detach().add_(at::randn(weight.sizes(), random_stream(3, "noise"), at::kFloat), 0.2);
    const Tokenizer tokenizer(config.tokenizer);
    TrainData data({.folder = config.stage[0].data, .text_len = test::wan_of(config).text_len, .limit = 1}, &tokenizer);
    SampleGrid(config, std::move(data), at::kCPU).draw(state, run / "sheet");
    return load_png(run / "sheet-0.png");
  };
  const SamplerConfig plain{.steps = 3, .shift = 1.3, .guidance = 1.0};
  SamplerConfig whole = plain;
  whole.whole_timesteps = true;
  EXPECT_TRUE(at::equal(sheet_of(plain), sheet_of(plain)));
  EXPECT_FALSE(at::equal(sheet_of(plain), sheet_of(whole)));
}

}  // namespace
}  // namespace moga
