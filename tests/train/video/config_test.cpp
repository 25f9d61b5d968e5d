// Errors in training configs, and settings from the command line.
#include <gtest/gtest.h>

#include <tuple>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/train/text/config.h"
#include "moga/train/vae/config.h"
#include "moga/train/video/prepare.h"
#include "moga/train/video/task.h"
#include "tests/support/error.h"
#include "tests/train/tiny_run.h"

namespace moga {
namespace {

constexpr const char* kConfig = R"(tokenizer = "t"
[transformer]
text_dim = 16
[text_encoder]
d_model = 16
[[stage]]
data = "d"
steps = 5
)";

TrainConfig with_settings(const std::vector<std::string>& settings) {
  const test::Folder folder;
  write_text(folder / "run.toml", kConfig);
  return load_train_config(folder / "run.toml", settings);
}

std::string config_error(const std::vector<std::string>& settings) {
  return test::error_of([&] { with_settings(settings); });
}

TEST(TrainConfig, RecomputationIsASection) {
  const TrainConfig config = with_settings({"recompute.mode=selective", "recompute.offload_inputs=true"});
  EXPECT_EQ(config.recompute.mode, Recompute::kSelective);
  EXPECT_TRUE(config.recompute.offload_inputs);
  EXPECT_EQ(with_settings({}).recompute.mode, Recompute::kAuto);
  EXPECT_NE(config_error({"recompute.mode=some"}).find("'some' is not one of auto, none, selective, full"),
            std::string::npos);
  EXPECT_NE(config_error({"recompute.mode=none", "recompute.offload_inputs=true"}).find("offload_inputs needs mode"),
            std::string::npos);
}

TEST(TrainConfig, SettingsReachSectionsAndLists) {
  const TrainConfig config =
      with_settings({"transformer.moga.kind=full", "stage.0.steps=7", "out=runs/a b", "ema=0.9"});
  EXPECT_EQ(config.transformer->attention().kind, AttentionKind::kFull);
  EXPECT_EQ(config.stage[0].steps, 7);
  EXPECT_EQ(config.out, "runs/a b");
  EXPECT_EQ(config.ema, 0.9);
}

TEST(TrainConfig, NamesWhatIsWrong) {
  EXPECT_EQ(config_error({}), "");
  const auto says = [](const std::string& setting, const std::string& expected) {
    const std::string message = config_error({setting});
    EXPECT_NE(message.find(expected), std::string::npos) << setting << ": " << message;
  };
  says("caption_dropuot=0.1", "caption_dropout");
  says("stage.0.batch=0", "batch is 0");
  says("stage.0.accumulation=3", "expected a divisor of batch = 16");
  says("transformer.text_dim=32", "expected text_encoder.d_model = 16");
  says("flow.timesteps=cosine", "flow.timesteps 'cosine' is not one of logit_normal, uniform");
  says("samples.every=10", "contact sheets need vae");
  says("train_text_encoder=false", "would stay random");
  says("stage.4.steps=1", "has 1 stages");
  says("ema", "expected key=value");
  says("transformer._class_name=Nope", "_class_name = Nope, expected WanTransformer3DModel");
}

TEST(TrainConfig, TokensPerBatchNextToAnyBatchIsAnErrorThatNamesBoth) {
  for (const char* batch : {"4", "16"}) {  // 16 is what a stage has without it
    const std::string message = config_error({"stage.0.tokens_per_batch=500", std::string("stage.0.batch=") + batch});
    EXPECT_NE(message.find("both batch = " + std::string(batch) + " and tokens_per_batch = 500"), std::string::npos)
        << message;
  }
  const TrainConfig by_tokens = with_settings({"stage.0.tokens_per_batch=500"}), by_videos = with_settings({});
  EXPECT_FALSE(by_tokens.stage[0].batch);
  EXPECT_EQ(by_videos.stage[0].batch, 16);
  // The complete config that a run writes is read again.
  const test::Folder folder;
  write_text(folder / "complete.toml", to_toml(by_tokens));
  EXPECT_EQ(load_train_config(folder / "complete.toml").stage[0].tokens_per_batch, 500);
}

// A config that says nothing but where to start from.
std::string from_init(const test::Folder& folder, const std::string& lines) {
  write_text(folder / "run.toml", "tokenizer = \"t\"\ninit = \"" + (folder / "model").string() + "\"\n" + lines +
                                      "\n[[stage]]\ndata = \"d\"\n");
  return (folder / "run.toml").string();
}

class TrainConfigOfInit : public testing::Test {
 protected:
  TrainConfigOfInit() {
    TransformerConfig transformer = test::wan_of(test::tiny_config("unused"));
    transformer.moga.groups = 3;
    write_text(folder_ / "model/transformer/config.json", to_json(transformer));
    write_text(folder_ / "model/text_encoder/config.json", to_json(test::tiny_config("unused").text_encoder));
  }
  std::string error(const std::string& lines) {
    return test::error_of([&] { load_train_config(from_init(folder_, lines)); });
  }
  test::Folder folder_;
};

TEST_F(TrainConfigOfInit, HasItsArchitectureAndAttention) {
  const TrainConfig config = load_train_config(from_init(folder_, ""));
  EXPECT_EQ(test::wan_of(config).num_layers, 2);
  EXPECT_EQ(config.transformer->attention().groups, 3);
  EXPECT_EQ(config.text_encoder.d_model, 16);
}

TEST_F(TrainConfigOfInit, HasItsVaeAndTokenizerUnlessTheConfigNamesOthers) {
  const auto load = [&](const std::string& lines) {
    const std::filesystem::path path = folder_ / "parts.toml";
    write_text(path, "init = '" + (folder_ / "model").string() + "'\ntrain_text_encoder = false\n" + lines +
                         "\n[[stage]]\ndata = 'd'\n");
    return load_train_config(path);
  };
  write_text(folder_ / "model/vae/config.json", "{}");
  write_text(folder_ / "model/tokenizer/spiece.model", "");
  EXPECT_EQ(load("").vae, (folder_ / "model/vae").string());
  EXPECT_EQ(load("").tokenizer, (folder_ / "model/tokenizer").string());
  EXPECT_EQ(load("vae = 'other'\ntokenizer = 't'").vae, "other");
  EXPECT_EQ(load("vae = 'other'\ntokenizer = 't'").tokenizer, "t");
}

TEST_F(TrainConfigOfInit, HasItsSchedulerUnlessTheConfigSaysOtherwise) {
  write_text(folder_ / "model/scheduler/scheduler_config.json",
             R"({"solver": "euler", "steps": 7, "shift": 8.0, "guidance": 2.5, "full_steps": 0})");
  const SamplerConfig sampler = load_train_config(from_init(folder_, "")).samples.sampler;
  EXPECT_EQ(sampler.solver, SolverKind::kEuler);
  EXPECT_EQ(std::tuple(sampler.steps, sampler.shift, sampler.guidance), std::tuple(7, 8.0, 2.5));
  const TrainConfig own = load_train_config(from_init(folder_, "[samples.sampler]\nsteps = 3"));
  EXPECT_EQ(std::tuple(own.samples.sampler.steps, own.samples.sampler.shift), std::tuple(3, 8.0));
}

TEST_F(TrainConfigOfInit, AnotherPipelineIsNamed) {
  write_text(folder_ / "model/model_index.json", R"({"_class_name": "WanVACEPipeline"})");
  EXPECT_NE(error("").find("model_index.json: _class_name = WanVACEPipeline, expected WanPipeline"), std::string::npos);
}

TEST_F(TrainConfigOfInit, AModelOfImagesMayStartFromOneOfTextAlone) {
  const std::string widened = "[transformer]\nin_channels = 12";
  EXPECT_EQ(error(widened), "");
  EXPECT_NE(error("train_text_encoder = false\n" + widened + "\n[lora]\nrank = 4")
                .find("lora cannot train the new input channels"),
            std::string::npos);
  EXPECT_NE(error(widened + "\nnum_layers = 4").find("transformer.num_layers = 4, but init "), std::string::npos);
  write_text(folder_ / "model/model_index.json", R"({"_class_name": "WanPipeline", "expand_timesteps": true})");
  EXPECT_EQ(error(""), "");
  EXPECT_NE(error(widened).find("is given frames (expand_timesteps), and the config's model takes images as 8"),
            std::string::npos);
}

TEST_F(TrainConfigOfInit, ItsPipelineAndItsChannelsMustAgree) {
  write_text(folder_ / "model/model_index.json", R"({"_class_name": "WanImageToVideoPipeline"})");
  EXPECT_NE(error("").find("is made for image to video (model_index.json), and its transformer takes no images"),
            std::string::npos);
  write_text(folder_ / "model/model_index.json", R"({"_class_name": "WanPipeline", "boundary_ratio": 0.9,
    "transformer_2": ["diffusers", "WanTransformer3DModel"]})");
  EXPECT_NE(error("").find("has two experts, which are trained one at a time"), std::string::npos);
}

TEST_F(TrainConfigOfInit, ADisagreementIsNamed) {
  EXPECT_EQ(error("[transformer]\nnum_layers = 2"), "");
  EXPECT_NE(error("[transformer]\nnum_layers = 4").find("transformer.num_layers = 4, but init "), std::string::npos);
  EXPECT_NE(error("[transformer.moga]\ngroups = 5").find("transformer.moga.groups = 5, but init "), std::string::npos);
  EXPECT_EQ(error("[transformer.moga]\nwindow = false"), "");  // an ablation
  EXPECT_NE(error("[text_encoder]\nd_ff = 7").find("text_encoder.d_ff = 7, but init "), std::string::npos);
  EXPECT_EQ(error("[transformer.moga]\nkind = \"full\"\ngroups = 5"), "");
}

TEST(TrainConfig, IsWrittenComplete) {
  const test::Folder run;
  const TrainConfig config = test::tiny_config(run.path());
  const auto again = parse_toml<TrainConfig>(to_toml(config), "saved");
  EXPECT_EQ(to_toml(again), to_toml(config));
}

TEST(TrainConfig, ShippedConfigsAreRight) {
  const std::filesystem::path configs = std::filesystem::path(__FILE__).parent_path() / "../../../configs";
  EXPECT_FALSE(load_train_config(configs / "base.toml").transformer->attention().uses_router());
  EXPECT_TRUE(load_train_config(configs / "stories.toml").transformer->attention().uses_router());
  EXPECT_FALSE(load_train_config(configs / "stories.toml", {"transformer.moga.kind=full"})
                   .transformer->attention()
                   .uses_router());
  const TrainConfig images =
      load_train_config(configs / "stories_i2v.toml", {"init=" + (configs / "../models/demo").string()});
  EXPECT_EQ(images.transformer->conditioning().channels, 4 + 16);
  EXPECT_FALSE(load_toml<TextTrainConfig>(configs / "demo_text.toml").tokenizer.empty());
  EXPECT_FALSE(load_toml<VaeTrainConfig>(configs / "demo_vae.toml").out.empty());
  for (const char* name : {"stories_image.toml", "stories_short.toml", "stories_long.toml"})
    EXPECT_FALSE(load_toml<PrepareConfig>(configs / name).out.empty()) << name;
}

}  // namespace
}  // namespace moga
