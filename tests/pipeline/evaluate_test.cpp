// The evaluation generates, measures and reports every story; a random model is right by chance only.
#include "moga/pipeline/evaluate.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/data/video/image.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

namespace moga {
namespace {

StoryEvaluationConfig small() {
  StoryEvaluationConfig config;
  config.stories = 3;
  config.batch = 2;
  config.sheet_stories = 1;
  config.sampler.steps = 1;
  config.story.width = 112;
  config.story.height = 64;
  config.story.frames = 65;
  return config;
}

TEST(Evaluate, ReportsEveryStory) {
  test::Folder folder;
  Models models = test::tiny_models();
  const StoryEvaluation evaluation = evaluate_stories(models, small(), folder.path());
  ASSERT_EQ(evaluation.readings.size(), 3u);
  EXPECT_GT(evaluation.all.cases, 0);
  EXPECT_LT(evaluation.all.accuracy(), 0.7);
  const auto json = nlohmann::json::parse(read_text(folder / "evaluation.json"));
  EXPECT_EQ(json["stories"].size(), 3u);
  EXPECT_EQ(json["stories"][2]["seed"], 1'000'000'002);
  EXPECT_EQ(json["all"]["cases"], evaluation.all.cases);
  EXPECT_EQ(load_png(folder / "stories.png").size(1), 4 + 2 * 68);  // generated above original
  for (const char* row : {"returning", "all", "(told)"})
    EXPECT_NE(score_table(evaluation).find(row), std::string::npos);
}

// Without them it would be refused.
TEST(Evaluate, AnImageModelIsGivenTheDrawnFirstFrames) {
  test::Folder folder;
  Models models = load_models(test::image_folder(), at::kCPU, at::kFloat);
  StoryEvaluationConfig config = small();
  config.stories = 1;
  EXPECT_EQ(evaluate_stories(models, config, folder.path()).readings.size(), 1u);
}

// One shot introduces everybody: nothing is left to carry.
TEST(Evaluate, WithoutCasesThereIsNoNumber) {
  test::Folder folder;
  Models models = test::tiny_models();
  StoryEvaluationConfig config = small();
  config.stories = 1;
  config.story.frames = 17;
  config.story.min_shots = config.story.max_shots = 1;
  const StoryEvaluation evaluation = evaluate_stories(models, config, folder.path());
  EXPECT_EQ(evaluation.all.cases, 0);
  const auto json = nlohmann::json::parse(read_text(folder / "evaluation.json"));
  EXPECT_TRUE(json["all"]["accuracy"].is_null());
  EXPECT_NE(score_table(evaluation).find("all             0          -          -          -"), std::string::npos)
      << score_table(evaluation);
}

TEST(Evaluate, WrongConfigsAreRefused) {
  test::Folder folder;
  Models models = test::tiny_models();
  StoryEvaluationConfig config = small();
  config.batch = 0;
  EXPECT_EQ(test::error_of([&] { evaluate_stories(models, config, folder.path()); }),
            "batch is 0, expected at least 1");
}

}  // namespace
}  // namespace moga
