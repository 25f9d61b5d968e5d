// A model folder loads completely; a one-line error names what is missing or does not fit.
#include "moga/pipeline/models.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/model/wan/transformer.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

std::string message_of_loading(const fs::path& folder) {
  return test::error_of([&] { load_models(folder, at::kCPU, at::kFloat); });
}

TEST(Models, LoadWithTheirMakersSampler) {
  const Models models = test::tiny_models();
  EXPECT_EQ(models.sampler.solver, SolverKind::kUniPc);
  EXPECT_EQ(models.sampler.shift, 3.0);
  EXPECT_EQ(models.sampler.steps, 2);
  EXPECT_EQ(models.transformer->config().attention().groups, 3);
  EXPECT_EQ(models.vae->config().latent_channels(), models.transformer->config().latent_channels());
  EXPECT_EQ(models.pixels_per_token(), (Strides{4, 16, 16}));
}

TEST(Models, SettingsGoOverTheConfigsOfTransformerAndSampler) {
  const auto load = [](const std::vector<std::string>& settings) {
    return load_models(test::tiny_folder(), at::kCPU, at::kFloat, settings);
  };
  const Models models = load({"transformer.moga.backend=reference", "sampler.full_steps=1"});
  EXPECT_EQ(models.transformer->config().attention().backend, AttentionBackend::kReference);
  EXPECT_EQ(models.sampler.full_steps, 1);
  const auto error = [&](const char* setting) { return test::error_of([&] { load({setting}); }); };
  EXPECT_EQ(error("moga.kind=full").find("command line: setting 'moga.kind=full' belongs to no part; expected"), 0u);
  EXPECT_EQ(error("transformer.moga.kinds=full").find("command line: unknown key 'kinds' in [moga]; did you mean"), 0u);
  EXPECT_EQ(error("sampler.full_steps=-1"), "command line: full_steps = -1: expected 0 to 2, the number of steps");
}

TEST(Models, SettingsAreReportedOfTheirSource) {
  ModelConfigs configs = load_model_configs(test::tiny_folder());
  const auto error = [&](const char* setting) {
    return test::error_of([&] { apply_settings(configs, {setting}, "film.toml"); });
  };
  EXPECT_EQ(error("sampler.stepz=3"), "film.toml: unknown key 'stepz'; did you mean 'steps'?");
  EXPECT_EQ(error("transformer.moga.kinds=full").find("film.toml: unknown key 'kinds'"), 0u);
  EXPECT_EQ(error("steps=3").find("film.toml: setting 'steps=3' belongs to no part"), 0u);
}

TEST(Models, AFolderAsksForAtMostAsManyFullStepsAsThereAreSteps) {
  ModelConfigs configs = load_model_configs(test::tiny_folder());
  configs.sampler.steps = 50;
  configs.sampler.full_steps = 10;
  ModelConfigs fewer = configs;
  apply_settings(fewer, {"sampler.steps=4"});
  EXPECT_EQ(fewer.sampler.full_steps, 4);
  apply_settings(configs, {"sampler.steps=20"});
  EXPECT_EQ(configs.sampler.full_steps, 10);
  EXPECT_EQ(test::error_of([&] {
              apply_settings(configs, {"sampler.steps=4", "sampler.full_steps=10"});
            }),
            "command line: full_steps = 10: expected 0 to 4, the number of steps");
}

TEST(Models, TheVaeFollowsTheDtypeOnAGpuAlone) {
  EXPECT_EQ(default_vae_dtype(at::kCUDA, at::kBFloat16), at::kBFloat16);
  EXPECT_EQ(default_vae_dtype(at::kCPU, at::kBFloat16), at::kFloat);
  const Models models = load_models(test::tiny_folder(), at::kCPU, at::kFloat, {}, {.vae_dtype = at::kBFloat16});
  EXPECT_EQ(models.vae->parameters()[0].scalar_type(), at::kBFloat16);
  EXPECT_EQ(models.transformer->parameters()[0].scalar_type(), at::kFloat);
}

TEST(Models, MissingPartsAreNamed) {
  test::Folder folder;
  EXPECT_NE(message_of_loading(folder / "nothing").find("nothing: no such folder"), std::string::npos);
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  fs::remove(folder / "vae/config.json");
  fs::remove(folder / "tokenizer/spiece.model");
  EXPECT_NE(message_of_loading(folder.path()).find("missing: tokenizer/spiece.model, vae/config.json"),
            std::string::npos);
}

TEST(Models, PartsThatDoNotFitAreNamed) {
  test::Folder folder;
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  TransformerConfig config = load_transformer_config(folder / "transformer/config.json");
  config.in_channels = config.out_channels = 6;
  save_transformer(folder / "transformer", Transformer(config), at::kFloat);
  EXPECT_NE(message_of_loading(folder.path()).find("vae's z_dim and transformer's latent channels differ: 4 and 6"),
            std::string::npos)
      << message_of_loading(folder.path());
}

TEST(Models, OfTwoExpertsHaveSettingsForBothAndForTheSecond) {
  const auto load = [](const fs::path& folder, const std::vector<std::string>& settings) {
    return load_models(folder, at::kCPU, at::kFloat, settings, {.rest_experts = true});
  };
  const Models models = load(test::two_expert_folder(), {"transformer.moga.backend=reference",
                                                         "transformer_2.moga.full_layers=[0]", "sampler.guidance_2=2"});
  EXPECT_EQ(models.boundary, 900);
  EXPECT_EQ(models.sampler.low_noise_guidance(), 2);
  for (const VideoModelPtr& expert : models.experts())
    EXPECT_EQ(expert->config().attention().backend, AttentionBackend::kReference);
  EXPECT_EQ(models.transformer->config().attention().full_layers.size(), 0u);
  EXPECT_EQ(models.transformer_2->config().attention().full_layers.size(), 1u);
  for (const char* setting : {"sampler.guidance_2=2", "transformer_2.moga.kind=full"})
    EXPECT_NE(test::error_of([&] { load(test::tiny_folder(), {setting}); }).find("is for a model of two experts"),
              std::string::npos);
}

TEST(Models, WithOtherConditionsAreRefused) {
  test::Folder folder;
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  TransformerConfig config = load_transformer_config(folder / "transformer/config.json");
  config.in_channels = 4 * config.out_channels;
  save_transformer(folder / "transformer", Transformer(config), at::kFloat);
  EXPECT_NE(message_of_loading(folder.path())
                .find("the transformer takes 12 channels besides its latents, expected none (text to video) or 4 + 4"),
            std::string::npos)
      << message_of_loading(folder.path());
  fs::copy(test::image_folder(), folder.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  EXPECT_EQ(message_of_loading(folder.path()), "");
  write_text(folder / "model_index.json", R"({"_class_name": "WanPipeline"})");
  EXPECT_NE(message_of_loading(folder.path()).find("says text to video, and the transformer takes images"),
            std::string::npos);
}

TEST(Models, WithGivenFramesTakeNoCondition) {
  test::Folder folder;
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  for (const char* pipeline : {"WanPipeline", "WanImageToVideoPipeline"}) {
    write_text(folder / "model_index.json",
               R"({"expand_timesteps": true, "_class_name": ")" + std::string(pipeline) + "\"}");
    EXPECT_TRUE(load_models(folder.path(), at::kCPU, at::kFloat).expand_timesteps) << pipeline;
  }
  fs::copy(test::image_folder(), folder.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  EXPECT_NE(message_of_loading(folder.path())
                .find("says expand_timesteps, and the transformer takes images as 8 channels, expected one or"),
            std::string::npos)
      << message_of_loading(folder.path());
}

TEST(Models, OfTextToVideoDoNotReadAnImageEncoder) {
  test::Folder folder;
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  write_text(folder / "image_encoder/config.json", "{}");
  EXPECT_NE(message_of_loading(folder.path()).find("missing: image_encoder/*.safetensors"), std::string::npos);
  write_text(folder / "model_index.json",
             R"({"_class_name": "WanPipeline", "image_encoder": ["transformers", "CLIPVisionModel"]})");
  EXPECT_EQ(message_of_loading(folder.path()), "");
}

TEST(Models, OfAnUnknownClassAreNamed) {
  test::Folder folder;
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  write_text(folder / "vae/config.json", R"({"_class_name": "AutoencoderKLMochi"})");
  const std::string message = message_of_loading(folder.path());
  EXPECT_NE(message.find("vae/config.json: _class_name = AutoencoderKLMochi, expected AutoencoderKLWan"),
            std::string::npos)
      << message;
}

TEST(Models, OfAnotherPipelineAreRefusedBeforeWeightsAreRead) {
  test::Folder folder;
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  write_text(folder / "transformer/diffusion_pytorch_model.safetensors", "damaged");
  write_text(folder / "model_index.json", R"({"_class_name": "WanVACEPipeline"})");
  EXPECT_NE(message_of_loading(folder.path()).find("_class_name = WanVACEPipeline, expected WanPipeline"),
            std::string::npos);
}

TEST(Models, WithFewerLayersThanTheirWeightsAreRefused) {
  test::Folder folder;
  fs::copy(test::tiny_folder(), folder.path(), fs::copy_options::recursive);
  std::string config = read_text(folder / "transformer/config.json");
  config.replace(config.find("\"num_layers\": 2"), 15, "\"num_layers\": 1");
  write_text(folder / "transformer/config.json", config);
  const std::string message = message_of_loading(folder.path());
  EXPECT_NE(message.find("for which config.json has no use, first blocks.1."), std::string::npos) << message;
}

}  // namespace
}  // namespace moga
