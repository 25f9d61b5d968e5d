// Generation and evaluation on several ranks against one: latents, readings, what a kept state continues, and ranks
// that were given different runs.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/pipeline/evaluate.h"
#include "moga/pipeline/generate.h"
#include "moga/pipeline/latents.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/compare.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

Script film() {
  Script script;
  script.size = {48, 32};
  script.shot = {{"Mara waves.", std::nullopt, 9}, {"Mara walks.", std::nullopt, 8}};
  return script;
}

// The ranks share the parent's model folder; they write next to it.
Models models_of_rank(const ProcessGroup& world, const std::string& folder) {
  return load_models(folder, at::kCPU, at::kFloat, {}, {.text_encoder = world.rank() == 0});
}

GenerateOptions options_of(const ProcessGroup& world, const std::string& folder, SamplerConfig sampler) {
  GenerateOptions options;
  options.sampler = sampler;
  options.mesh = generation_mesh(world, sampler);
  if (world.rank() == 0) options.save_latents = folder + "/latents.safetensors";
  return options;
}

MOGA_RANKS(film_of_ranks) {
  const std::string folder = rank_argument();
  Models models = models_of_rank(world, folder);
  const GenerateOptions options = options_of(world, folder, models.sampler);
  int64_t frames = 0;
  generate(film(), std::move(models), options, [&](const at::Tensor& some) { frames += some.size(0); });
  check(frames == (world.rank() == 0 ? 17 : 0), "frames decoded: ", frames);
}

// Told to end while it denoises; the second call continues.
MOGA_RANKS(film_in_two_parts) {
  const std::string folder = rank_argument();
  Models models = models_of_rank(world, folder);
  SamplerConfig sampler = models.sampler;
  sampler.steps = 6;
  GenerateOptions options = options_of(world, folder, sampler);
  if (world.rank() == 0) options.keep = {folder + "/kept", std::filesystem::exists(folder + "/kept"), 0};
  if (!world.any(options.keep.resume)) set_interrupted(world.rank() == 1);
  generate(film(), std::move(models), options, [](const at::Tensor&) {});
}

MOGA_RANKS(other_script) {
  Models models = models_of_rank(world, rank_argument());
  Script script = film();
  if (world.rank() == 1) script.seed = 5;
  const GenerateOptions options = options_of(world, rank_argument(), models.sampler);
  generate(script, std::move(models), options, {});
}

StoryEvaluationConfig evaluation() {
  StoryEvaluationConfig config;
  config.stories = 3;  // two rounds on two ranks, the second uneven
  config.batch = config.sampler.steps = 1;
  config.sheet_stories = 2;
  config.story.width = 112;
  config.story.height = 64;
  config.story.frames = 65;
  return config;
}

MOGA_RANKS(evaluation_on_ranks) {
  Models models = load_models(rank_argument(), at::kCPU, at::kFloat);
  const StoryEvaluation all = evaluate_stories(models, evaluation(), rank_argument() + "/ranks", world);
  check(all.readings.size() == 3, all.readings.size(), " stories");
}

at::Tensor latents_on_one(SamplerConfig sampler) {
  const Folder folder;
  const GenerateOptions options{.sampler = sampler, .save_latents = folder / "latents.safetensors"};
  generate(film(), tiny_models(), options, [](const at::Tensor&) {});
  return load_latents(options.save_latents);
}

at::Tensor latents_of(const std::string& body, int64_t ranks) {
  const RanksRun run = run_ranks(body, ranks, {.argument = tiny_folder().string()});
  EXPECT_EQ(run.line, "");
  return load_latents(tiny_folder() / "latents.safetensors");
}

TEST(GenerateOnRanks, LatentsEqualThoseOfOneAndRepeat) {
  const at::Tensor expected = latents_on_one(tiny_models().sampler);
  for (const int64_t ranks : {2, 3, 4}) {
    const at::Tensor first = latents_of("film_of_ranks", ranks);
    EXPECT_TRUE(close(first, expected, 1e-5)) << ranks << " ranks";
    EXPECT_TRUE(at::equal(first, latents_of("film_of_ranks", ranks))) << ranks << " ranks";
  }
}

TEST(GenerateOnRanks, AnInterruptOfOneRankEndsAllAndIsResumed) {
  SamplerConfig sampler = tiny_models().sampler;
  sampler.steps = 6;
  const RanksRun run = run_ranks("film_in_two_parts", 2, {.argument = tiny_folder().string()});
  EXPECT_EQ(run.status, 130) << run.line;
  EXPECT_TRUE(std::filesystem::exists(tiny_folder() / "kept"));
  EXPECT_TRUE(close(latents_of("film_in_two_parts", 3), latents_on_one(sampler), 1e-5));  // on another mesh
  std::filesystem::remove(tiny_folder() / "kept");
}

TEST(GenerateOnRanks, RanksOfDifferentRunsAreFound) {
  const std::string line = run_ranks("other_script", 2, {.argument = tiny_folder().string()}).line;
  EXPECT_NE(line.find("has another generation: "), std::string::npos) << line;
  EXPECT_NE(line.find("\"seed\": 5"), std::string::npos) << line;
}

TEST(EvaluateOnRanks, ReadsTheSameColours) {
  Models models = tiny_models();
  evaluate_stories(models, evaluation(), tiny_folder() / "one");
  EXPECT_EQ(run_ranks("evaluation_on_ranks", 2, {.argument = tiny_folder().string()}).line, "");
  const auto results = [](const char* name) {
    auto json = nlohmann::json::parse(read_text(tiny_folder() / name / "evaluation.json"));
    json.erase("seconds");
    return json;
  };
  EXPECT_EQ(results("one"), results("ranks"));
  EXPECT_EQ(read_text(tiny_folder() / "one/stories.png"), read_text(tiny_folder() / "ranks/stories.png"));
}

}  // namespace
}  // namespace moga::test
