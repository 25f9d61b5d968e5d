// A VAE folder in the names of Wan2.1 and of diffusers.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/model/vae/names.h"
#include "tests/model/vae/vae_fixture.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(VaeNames, AreThoseOfDiffusers) {
  const Safetensors file(test::fixtures() / "vae");
  std::set<std::string> names;
  for (const auto& [name, tensor] : named_tensors(*test::random_vae()))
    names.insert(diffusers_vae_name(name, test::tiny_vae_config()));
  const auto expected = file.names();
  EXPECT_EQ(names, std::set<std::string>(expected.begin(), expected.end()));
  EXPECT_EQ(diffusers_vae_name("decoder.upsamples.7.resample.1.weight", VaeConfig{}),
            "decoder.up_blocks.1.upsamplers.0.resample.1.weight");
  EXPECT_EQ(diffusers_vae_name("encoder.middle.2.residual.6.bias", VaeConfig{}),
            "encoder.mid_block.resnets.1.conv2.bias");
  const Safetensors file22(test::fixtures() / "vae22");
  std::set<std::string> names22;
  for (const auto& [name, tensor] : named_tensors(*test::random_vae(at::kFloat, test::tiny_vae22_config())))
    names22.insert(diffusers_vae_name(name, test::tiny_vae22_config()));
  const auto expected22 = file22.names();
  EXPECT_EQ(names22, std::set<std::string>(expected22.begin(), expected22.end()));
  EXPECT_EQ(diffusers_vae_name("decoder.upsamples.1.upsamples.3.time_conv.weight", wan22_vae_config()),
            "decoder.up_blocks.1.upsampler.time_conv.weight");
  EXPECT_EQ(test::error_of([] { diffusers_vae_name("decoder.unknown.weight", VaeConfig{}); }),
            "no diffusers name for the VAE's tensor decoder.unknown.weight");
}

class VaeFolder : public testing::TestWithParam<WeightLayout> {};

TEST_P(VaeFolder, LoadsWhatWasSaved) {
  const test::Folder folder;
  Vae vae = test::random_vae();
  vae->set_statistics({1, 2, 3, 4}, {5, 6, 7, 8});
  save_vae(folder / "vae", vae, at::kFloat, GetParam());
  const Vae loaded = load_vae(folder / "vae", at::kCPU, at::kFloat);
  const TensorMap expected = named_tensors(*vae);
  for (const auto& [name, tensor] : named_tensors(*loaded)) EXPECT_TRUE(at::equal(tensor, expected.at(name))) << name;
  EXPECT_EQ(loaded->config().latents_mean, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(loaded->config().latents_std, (std::vector<double>{5, 6, 7, 8}));
}

// config.json with all that diffusers needs to know of Wan2.2's variant.
TEST_P(VaeFolder, OfWan22LoadsWhatWasSaved) {
  const test::Folder folder;
  const Vae vae = load_vae(test::fixtures() / "vae22", at::kCPU, at::kFloat);
  save_vae(folder / "vae", vae, at::kFloat, GetParam());
  const Vae loaded = load_vae(folder / "vae", at::kCPU, at::kFloat);
  const TensorMap expected = named_tensors(*vae);
  for (const auto& [name, tensor] : named_tensors(*loaded)) EXPECT_TRUE(at::equal(tensor, expected.at(name))) << name;
  const auto json_of = [](const std::filesystem::path& path) { return nlohmann::json::parse(read_text(path)); };
  EXPECT_EQ(json_of(folder / "vae/config.json"), json_of(test::fixtures() / "vae22/config.json"));
}

INSTANTIATE_TEST_SUITE_P(Layouts, VaeFolder, testing::Values(WeightLayout::kWan, WeightLayout::kDiffusers));

TEST(VaeWeights, RefusesWeightsOfAnotherWidth) {
  const test::Folder folder;
  save_vae(folder / "vae", test::random_vae(), at::kFloat);
  std::ofstream(folder / "vae/config.json") << R"({"base_dim": 8, "z_dim": 4, "dim_mult": [1, 2, 3, 1],
    "num_res_blocks": 1})";
  const std::string message = test::error_of([&] { load_vae(folder / "vae", at::kCPU, at::kFloat); });
  EXPECT_NE(message.find("has shape"), std::string::npos) << message;
}

VaeConfig config_of(const std::string& text) {
  const test::Folder folder;
  std::ofstream(folder / "config.json") << text;
  return load_vae_config(folder / "config.json");
}

TEST(VaeConfigFile, KeysThatAreNotUnderstoodAreErrors) {
  const auto says = [](const std::string& text, const std::string& expected) {
    const std::string message = test::error_of([&] { config_of(text); });
    EXPECT_NE(message.find(expected), std::string::npos) << text << ": " << message;
  };
  says(R"({"latents_maen": [0]})", "unknown key 'latents_maen'; did you mean 'latents_mean'?");
  says(R"({"in_channels": 12})", "in_channels = 12 is not supported, expected 3");
  says(R"({"patch_size": 2, "in_channels": 3})", "in_channels = 3 is not supported, expected 12");
  says(R"({"patch_size": 2, "scale_factor_spatial": 8})", "scale_factor_spatial = 8 is not supported, expected 16");
  says(R"({"patch_size": 0})", "patch_size is 0, expected 1 to 64");
  says(R"({"is_residual": 1})", "is_residual");
  says(R"({"z_dim": "16"})", "z_dim");
  says(R"({"z_dim": 4, "latents_mean": [1, 2, 3]})", "latents_mean");
  EXPECT_EQ(config_of(R"({"_class_name": "AutoencoderKLWan", "scale_factor_spatial": 8})").base_dim, 96);
  EXPECT_EQ(config_of(R"({"z_dim": 4, "clip_output": false, "decoder_base_dim": 32})").decoder_base(), 32);
}

// As diffusers: those of Wan2.1's VAE for its 16 channels.
TEST(VaeConfigFile, MissingStatisticsAreThePublishedOnes) {
  const VaeConfig published = config_of(R"({"z_dim": 16, "latents_mean": null})");
  EXPECT_EQ(published.latents_mean.at(0), -0.7571);
  EXPECT_EQ(published.latents_std.at(15), 1.9160);
  const VaeConfig own = config_of(R"({"z_dim": 2, "latents_mean": [1, 2], "latents_std": [3, 4]})");
  EXPECT_EQ(own.latents_std, (std::vector<double>{3, 4}));
}

}  // namespace
}  // namespace moga
