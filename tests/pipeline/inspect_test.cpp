// Inspection of the tiny model: over a film that it generates, a story and given frames.
#include "moga/pipeline/inspect.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/module_io.h"
#include "moga/data/story/render.h"
#include "tests/pipeline/inspect_cases.h"
#include "tests/support/error.h"

namespace moga {
namespace {

using test::film_of_two_shots;
using test::inspected_film;
using test::small_story;
using test::tiny_models;

TEST(Inspect, RecordsTheChosenLayersAndSteps) {
  Models models = tiny_models();
  InspectConfig config{.layers = {1}, .at_steps = {2}, .sampler = models.sampler};
  const Inspection inspection = inspect_script(film_of_two_shots(), std::move(models), config);
  ASSERT_EQ(inspection.records.size(), 1u);
  EXPECT_EQ(inspection.records[0].layer, 1);
  EXPECT_EQ(inspection.steps[0].number, 2);
  EXPECT_EQ(inspection.record(0, 0), nullptr);
  EXPECT_EQ(inspection.pictures.size(), static_cast<size_t>(inspection.video.frames));
  EXPECT_EQ(inspection.pictures[0].sizes(), (at::IntArrayRef{3, 32, 48}));
}

TEST(Inspect, RecordsAllByDefault) {
  const Inspection inspection = inspected_film();
  EXPECT_EQ(inspection.layers, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(inspection.steps.size(), 2u);  // the sampler has two
  EXPECT_EQ(inspection.records.size(), 4u);
  EXPECT_GT(inspection.steps[0].timestep, inspection.steps[1].timestep);
}

TEST(Inspect, DoesNotChangeTheFilm) {
  const auto denoised = [](const StepObserver& observe) {
    Models models = tiny_models();
    const VideoRequest request = script_request(film_of_two_shots(), models);
    return test::denoised(models, {request}, {.sampler = models.sampler, .observe = observe}).front();
  };
  Models models = tiny_models();
  RoutingRecorder recorder(models.experts(), {.video = script_request(film_of_two_shots(), models).shape,
                                              .layers = {0, 1},
                                              .steps = {{1, 900, 0}},
                                              .frames = {0}});
  EXPECT_TRUE(at::equal(
      denoised({}), denoised([&](int64_t step) { return step == 0 ? recorder.observer(0) : AttentionObserver(); })));
  EXPECT_EQ(recorder.records().size(), 2u);
}

TEST(Inspect, ComparesAStoryWithItsMasks) {
  const Inspection inspection = inspect_story(small_story(), tiny_models(), {.timesteps = {800, 200}});
  ASSERT_EQ(inspection.overlaps.size(), inspection.records.size());
  EXPECT_EQ(inspection.records.size(), 4u);
  EXPECT_EQ(inspection.steps[0].timestep, 800);
  for (const Overlaps& overlaps : inspection.overlaps) {
    ASSERT_EQ(overlaps.size(), 4u);
    for (const auto& [kind, overlap] : overlaps) {
      EXPECT_GT(overlap.random, 0) << name_of(kind);
      EXPECT_LT(overlap.trained, 1) << name_of(kind);
    }
    EXPECT_GT(overlaps.at(MaskKind::kBackground).random, overlaps.at(MaskKind::kHat).random);
  }
}

TEST(Inspect, GivenFramesAreEvaluatedLikeAStory) {
  const Story story = small_story();
  Models models = tiny_models();
  const Script script = story_script(story);
  const Inspection as_story = inspect_story(story, tiny_models(), {.layers = {1}, .timesteps = {500}});
  const Inspection as_frames = inspect_frames(render_story(story, at::kCPU).frames, script, std::move(models),
                                              {.layers = {1}, .timesteps = {500}});
  ASSERT_EQ(as_frames.records.size(), 1u);
  EXPECT_TRUE(at::equal(as_frames.records[0].maps.group, as_story.records[0].maps.group));
  EXPECT_TRUE(as_frames.overlaps.empty());
}

TEST(Inspect, SaysWhatHasNoRouting) {
  const auto error_of = [](InspectConfig config, const std::vector<std::string>& settings) {
    ModelConfigs configs = load_model_configs(test::tiny_folder());
    apply_settings(configs, settings);
    config.sampler = configs.sampler;
    return test::error_of([&] { check_inspection(configs, config, /*noised=*/false); });
  };
  EXPECT_EQ(error_of({.layers = {0, 5}}, {}), "inspect: layer 5 was asked for, the model has layers 0 to 1");
  EXPECT_EQ(error_of({.layers = {0}}, {"transformer.moga.full_layers=[0]"}),
            "inspect: layer 0 has no router, it runs full attention");
  EXPECT_EQ(error_of({.at_steps = {3}}, {}), "inspect: step 3 was asked for, the sampler has steps 1 to 2");
  EXPECT_EQ(error_of({.at_steps = {1}}, {"sampler.full_steps=1"}),
            "inspect: step 1 has no routing, the first 1 steps run full attention");
  EXPECT_NE(error_of({}, {"transformer.moga.kind=full"}).find("the model has no routers"), std::string::npos);
  EXPECT_EQ(error_of({.timesteps = {1200}}, {}), "inspect: timestep 1200, expected above 0 and up to 1000");
}

TEST(Inspect, MapsStayWithinTheirBound) {
  const VideoShape minute{120, 30, 52, {60, 60}};
  EXPECT_EQ(map_frames(minute, 1, 200'000).size(), 120u);
  const auto kept = map_frames(minute, 90, 4'000'000);  // 30 layers in 3 steps
  EXPECT_LE(static_cast<int64_t>(kept.size()) * 1560 * 90, 4'000'000);
  EXPECT_GE(kept.size(), 20u);
  EXPECT_EQ(kept.front(), 0);
  EXPECT_NE(std::ranges::find(kept, 60), kept.end());  // every shot begins with a map
  EXPECT_NE(test::error_of([&] { map_frames(minute, 90, 1000); }).find("choose fewer layers or steps"),
            std::string::npos);
}

TEST(Inspect, ExpertsAreRecordedWhereTheyCompute) {
  Models models = load_models(test::two_expert_folder(), at::kCPU, at::kFloat);
  InspectConfig config{.sampler = models.sampler};
  const Inspection inspection = inspect_script(film_of_two_shots(), std::move(models), config);
  ASSERT_EQ(inspection.steps.size(), 2u);
  EXPECT_EQ(inspection.steps[0].expert, 0u);
  EXPECT_EQ(inspection.steps[1].expert, 1u);
  EXPECT_EQ(inspection.attention.size(), 2u);
}

}  // namespace
}  // namespace moga
