// Calibration of the tiny model: its measurements, and the folder that it writes.
#include "moga/pipeline/calibrate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/log.h"
#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/wan/transformer.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

namespace moga {
namespace {

constexpr const char* kWeights = "transformer/diffusion_pytorch_model.safetensors";

// Attention that follows likeness, as trained attention does: keys are queries, and scores are large.
void attend_to_the_like(const Transformer& model) {
  const TensorMap tensors = named_tensors(*model);
  for (const auto& [name, tensor] : tensors) {
    if (name.find("self_attn.q.") == std::string::npos) continue;
    const std::string part = name.substr(0, name.find("q.")), kind = name.substr(name.find("q.") + 1);
    tensors.at(part + "k" + kind).detach().copy_(tensor);
    for (const char* norm : {"norm_q.weight", "norm_k.weight"}) tensors.at(part + norm).detach().fill_(2.0);
  }
}

// The tiny model as one that was trained with full attention: no routers, and a config that knows none.
const std::filesystem::path& full_folder() {
  static const test::Folder folder;
  static const bool written = [] {
    const auto part = folder / "model";
    std::filesystem::copy(test::tiny_folder(), part, std::filesystem::copy_options::recursive);
    const Transformer model = load_transformer(part / "transformer", at::kCPU, at::kFloat, {"moga.kind=full"});
    attend_to_the_like(model);
    save_transformer(part / "transformer", model, at::kFloat);
    return true;
  }();
  (void)written;
  static const std::filesystem::path path = folder / "model";
  return path;
}

CalibrationConfig small_config(const Models& models) {
  CalibrationConfig config;
  config.observed_steps = 2;
  config.tokens = 400;
  config.sampler = models.sampler;
  return config;
}

std::vector<Script> small_scripts() {
  std::vector<Script> scripts = calibration_scripts({96, 96}, 17, kWanPixelsPerToken);
  scripts.resize(2);
  return scripts;
}

Calibration run(const std::filesystem::path& folder, const std::vector<std::string>& settings = {}) {
  Models models = load_models(folder, at::kCPU, at::kFloat, calibration_settings(folder, settings));
  return calibrate(models, small_scripts(), small_config(models));
}

TEST(Calibrate, BalancesAModelWithoutRouters) {
  const Calibration calibration = run(full_folder(), {"transformer.moga.groups=3"});
  ASSERT_EQ(calibration.layers.size(), 2u);
  for (const LayerCalibration& layer : calibration.layers) {
    EXPECT_EQ(layer.router().weight.sizes(), (at::IntArrayRef{3, 24}));
    EXPECT_FALSE(layer.scores.contains("trained"));
    const RouterScore& fitted = layer.scores.at("calibrated");
    EXPECT_GT(fitted.smallest, 0.2) << calibration_table(calibration);
    EXPECT_LT(fitted.largest, 0.5);
    EXPECT_NEAR(fitted.gate, 0.9, 0.1);
  }
  EXPECT_LT(calibration.all.at("calibrated").largest, calibration.all.at("random").largest);
}

TEST(Calibrate, SaysTheWholeAndHowFarItIs) {
  set_quiet(false);
  testing::internal::CaptureStderr();
  run(full_folder(), {"transformer.moga.groups=3", "sampler.steps=2"});
  set_quiet(true);
  const std::string text = testing::internal::GetCapturedStderr();
  for (const char* line :
       {"part 1 of 3: router inputs of 2 scripts, 2 steps each\n",
        "part 2 of 3: k-means of 400 tokens for 6 routers: 2 layers, 3 candidates each (tokens, attention, spread)\n",
        "part 1: inputs  2/2  ", "part 2: k-means  6/6  ", "part 3: measuring  2/2  "})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

TEST(Calibrate, ComesNearerToFullAttentionThanARandomRouter) {
  const Calibration calibration = run(full_folder(), {"transformer.moga.groups=3"});
  const RouterScore &fitted = calibration.all.at("calibrated"), &random = calibration.all.at("random");
  EXPECT_LT(fitted.error_mean, random.error_mean);
  EXPECT_LT(fitted.error_lse, random.error_lse) << calibration_table(calibration);
}

TEST(Calibrate, TakesTheCandidateNearestToFullAttention) {
  const Calibration calibration = run(full_folder(), {"transformer.moga.groups=3", "transformer.moga.combine=lse"});
  for (const LayerCalibration& layer : calibration.layers) {
    EXPECT_EQ(layer.candidates.size(), 3u);
    for (const auto& [name, weights] : layer.candidates)
      EXPECT_LE(layer.scores.at("calibrated").error_lse, layer.scores.at(name).error_lse) << name;
  }
}

TEST(Calibrate, UntrainedLseIsNearerToFullAttentionThanTheMean) {
  const Calibration calibration = run(full_folder(), {"transformer.moga.groups=3"});
  for (const char* router : {"calibrated", "random"}) {
    const RouterScore& score = calibration.all.at(router);
    EXPECT_LT(score.error_lse, score.error_mean) << router << "\n" << calibration_table(calibration);
    EXPECT_GT(score.error_lse, 0) << router;
  }
}

TEST(Calibrate, OneGroupWithNothingElseIsFullAttention) {
  const Calibration calibration = run(full_folder(), {"transformer.moga.groups=1", "transformer.moga.window=false",
                                                      "transformer.moga.frame=false", "transformer.moga.gate=none"});
  EXPECT_LT(calibration.all.at("calibrated").error_mean, 1e-6);
  EXPECT_LT(calibration.all.at("calibrated").error_lse, 1e-6);
}

TEST(Calibrate, MeasuresTrainedRoutersBesideIts) {
  const Calibration calibration = run(test::tiny_folder(), {"transformer.moga.full_layers=[0]"});
  ASSERT_EQ(calibration.layers.size(), 1u);
  EXPECT_EQ(calibration.layers[0].layer, 1);
  EXPECT_EQ(calibration.layers[0].scores.size(), 6u);  // three candidates, calibrated, random, trained
  EXPECT_GT(calibration.layers[0].scores.at("trained").error_mean, 0);
}

TEST(Calibrate, WritesAFolderThatRuns) {
  const std::vector<std::string> settings = {"transformer.moga.groups=3", "transformer.moga.combine=lse",
                                             "transformer.moga.backend=reference", "sampler.steps=1"};
  const Calibration calibration = run(full_folder(), settings);
  const test::Folder folder;
  write_calibrated(full_folder(), folder / "out", settings, calibration);
  const Models models = load_models(folder / "out", at::kCPU, at::kFloat);
  const VisualAttentionConfig& moga = models.transformer->config().attention();
  EXPECT_EQ(std::string(name_of(moga.kind)) + " " + name_of(moga.combine) + " " + name_of(moga.backend),
            "moga lse auto");
  const TensorMap tensors = named_tensors(*models.transformer);
  for (const LayerCalibration& layer : calibration.layers) {
    const std::string name = "blocks." + std::to_string(layer.layer) + ".self_attn.router.";
    EXPECT_TRUE(at::equal(tensors.at(name + "weight"), layer.router().weight));
    EXPECT_TRUE(at::equal(tensors.at(name + "bias"), layer.router().bias));
  }
  for (const auto& [name, tensor] : Safetensors(full_folder() / kWeights).load_all())
    EXPECT_TRUE(at::equal(tensors.at(name), tensor)) << name;
  EXPECT_EQ(test::error_of([&] { write_calibrated(full_folder(), folder / "out", settings, calibration); }),
            (folder / "out").string() + ": exists already, expected a new folder");
}

TEST(Calibrate, GivesEachOfTwoExpertsRoutersFromItsOwnSteps) {
  Models models = load_models(test::two_expert_folder(), at::kCPU, at::kFloat);
  const CalibrationConfig config = small_config(models);
  const auto steps = steps_of_experts(models, config.sampler);
  ASSERT_EQ(steps[0].size(), 1u);
  ASSERT_EQ(steps[1].size(), 1u);
  const Calibration calibration = calibrate(models, small_scripts(), config);
  ASSERT_TRUE(calibration.low_noise);
  EXPECT_EQ(calibration.low_noise->layers.size(), calibration.layers.size());
  EXPECT_NE(calibration_table(calibration).find("transformer_2\n"), std::string::npos);
  const test::Folder folder;
  write_calibrated(test::two_expert_folder(), folder / "out", {}, calibration);
  const Models written = load_models(folder / "out", at::kCPU, at::kFloat);
  const std::string name = router_prefix(1) + "weight";
  EXPECT_TRUE(at::equal(named_tensors(*written.transformer).at(name), calibration.layers[1].router().weight));
  EXPECT_TRUE(
      at::equal(named_tensors(*written.transformer_2).at(name), calibration.low_noise->layers[1].router().weight));
  EXPECT_FALSE(at::equal(calibration.layers[1].router().weight, calibration.low_noise->layers[1].router().weight));
}

TEST(Calibrate, ReportsAsTableAndJson) {
  Models models = test::tiny_models();
  const CalibrationConfig config = small_config(models);
  const Calibration calibration = calibrate(models, small_scripts(), config);
  const std::string table = calibration_table(calibration);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 1 + 2 * 3 + 6);  // head, 3 routers of 2 layers, 6 of all
  const auto json = nlohmann::json::parse(calibration_json(calibration, config));
  EXPECT_EQ(json["layers"][1]["routers"]["random"]["error_lse"], calibration.layers[1].scores.at("random").error_lse);
  EXPECT_EQ(json["config"]["observed_steps"], 2);
}

TEST(Calibrate, SaysWhatDoesNotFit) {
  using test::error_of;
  EXPECT_EQ(error_of([] { run(test::tiny_folder(), {"transformer.moga.routed=false"}); }),
            "calibration: routed = false in the model's config, so it has no routers to calibrate");
  EXPECT_EQ(error_of([] { run(test::tiny_folder(), {"transformer.moga.full_layers=[0, 1]"}); }),
            "calibrate: full_layers names every block, so there are no routers to calibrate");
  Models models = test::tiny_models();
  CalibrationConfig config = small_config(models);
  EXPECT_EQ(error_of([&] { calibrate(models, {}, config); }), "calibrate: no scripts");
  config.tokens = 0;
  EXPECT_EQ(error_of([&] { calibrate(models, small_scripts(), config); }), "tokens = 0, expected 1 or more");
  EXPECT_EQ(error_of([] { choice<RouterMethod>("--routers", "atention"); }),
            "--routers 'atention' is not one of auto, tokens, attention, spread; did you mean 'attention'?");
  EXPECT_EQ(error_of([] {
              calibration_scripts({64, 64}, 1, kWanPixelsPerToken);
            }),
            "calibration: frames = 1, expected 2 or more, as each video has two shots");
}

}  // namespace
}  // namespace moga
