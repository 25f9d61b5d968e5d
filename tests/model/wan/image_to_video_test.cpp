// Wan2.1's image-to-video transformers: parity with diffusers (tools/make_fixtures_images.py), and which tokens see
// which image.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using test::close;

constexpr int64_t kTokens = 5;  // of an image
const VideoShape kTwoShots = {.frames = 4, .rows = 2, .columns = 3, .shot_frames = {1, 3}};

TransformerConfig image_config() {
  TransformerConfig config = test::full_attention(test::small_config());
  config.in_channels = 4 + 4 + 4;
  config.image_dim = 16;
  config.added_kv_proj_dim = config.width();
  return config;
}

VideoModelInput with_images(VideoModelInput input, const std::vector<int64_t>& counts) {
  for (const at::Tensor& latent : input.latents) {
    std::vector<int64_t> shape = latent.sizes().vec();
    shape[0] = 8;
    input.condition.push_back(at::randn(shape));
  }
  int64_t rows = 0;
  for (const int64_t count : counts) rows += count;
  input.image = {at::randn({rows, 16}), counts};
  return input;
}

void expect_diffusers_velocity(const std::string& name) {
  const at::NoGradGuard no_grad;
  const Safetensors file(std::string(MOGA_FIXTURES "/") + name + ".safetensors");
  const test::Folder folder;
  write_text(folder / "config.json", file.metadata().at("config"));
  Transformer model(load_transformer_config(folder / "config.json"));
  LoadOptions options;
  options.file_name_of = [](const std::string& own) { return "weights." + diffusers_name(own).value(); };
  load_parameters(*model, file, options);
  const at::Tensor latent = file.load("latent"), condition = file.load("condition"), image = file.load("image");
  const int64_t rows = image.size(0) * image.size(1);
  VideoModelInput input{.latents = {latent[0], latent[1]},
                        .timestep = file.load("timestep"),
                        .text = at::constant_pad_nd(file.load("text"), {0, 0, 0, 507}),
                        .layout = {{{3, 3, 4, {}}, {3, 3, 4, {}}}},
                        .condition = {condition[0], condition[1]},
                        .image = {image.flatten(0, 1), {rows / 2, rows / 2}}};
  EXPECT_TRUE(close(at::stack(model->forward(input, at::kFloat).velocity), file.load("velocity"), 1e-5));
}

TEST(ImageToVideo, AgreesWithDiffusers) { expect_diffusers_velocity("i2v"); }
TEST(ImageToVideo, OfFirstAndLastFramesAgreesWithDiffusers) { expect_diffusers_velocity("flf2v"); }

TEST(ImageToVideo, AnImageReachesItsShotAlone) {
  const at::NoGradGuard no_grad;
  TransformerConfig config = image_config();
  config.moga.kind = AttentionKind::kMoga;
  config.moga.routed = config.moga.window = false;  // frames alone: shots are apart but for text and images
  Transformer model = test::random_transformer(config);
  VideoModelInput input = with_images(test::random_input(config, {kTwoShots}), {kTokens, kTokens});
  const at::Tensor before = model->forward(input, at::kFloat).velocity[0];
  input.image.rows.narrow(0, kTokens, kTokens).normal_();
  const at::Tensor change = (model->forward(input, at::kFloat).velocity[0] - before).abs();
  EXPECT_EQ(change.narrow(1, 0, 1).max().item<float>(), 0.0f);
  EXPECT_GT(change.narrow(1, 1, 3).amax({0, 2, 3}).min().item<float>(), 1e-4f);
}

TEST(ImageToVideo, AShotWithoutAnImageSeesNone) {
  const at::NoGradGuard no_grad;
  Transformer model = test::random_transformer(image_config());
  const VideoModelInput input = with_images(test::random_input(image_config(), {kTwoShots, kTwoShots}), {0, 5, 5, 0});
  const auto together = model->forward(input, at::kFloat).velocity;
  for (const int64_t video : {0, 1}) {
    VideoModelInput one = test::alone(input, static_cast<size_t>(video));
    one.condition = {input.condition[static_cast<size_t>(video)]};
    one.image = {input.image.rows.narrow(0, 5 * video, 5),
                 video == 0 ? std::vector<int64_t>{0, 5} : std::vector<int64_t>{5, 0}};
    EXPECT_TRUE(close(together[static_cast<size_t>(video)], model->forward(one, at::kFloat).velocity[0], 1e-5));
  }
  VideoModelInput none = test::alone(input, 0);
  none.condition = {input.condition[0]};
  EXPECT_TRUE(model->forward(none, at::kFloat).velocity[0].isfinite().all().item<bool>());
}

TEST(ImageToVideo, EveryParameterGetsAGradientUnderRecomputation) {
  at::manual_seed(4);
  Transformer model = test::random_transformer(image_config());
  const VideoModelInput input = with_images(test::random_input(image_config(), {kTwoShots}), {kTokens, 0});
  std::vector<at::Tensor> expected;
  for (const Recompute mode : {Recompute::kNone, Recompute::kFull}) {
    model->set_recompute({.mode = mode});
    model->zero_grad();
    model->forward(input, at::kFloat).velocity[0].square().sum().backward();
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& parameter : model->parameters()) gradients.push_back(parameter.grad().clone());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(gradients[i], expected[i]));
    expected = gradients;
  }
  for (const at::Tensor& gradient : expected) EXPECT_GT(gradient.abs().max().item<float>(), 0.0f);
}

TEST(ImageToVideo, SaysWhatItIsGivenWrongly) {
  Transformer model = test::random_transformer(image_config());
  const VideoModelInput good = with_images(test::random_input(image_config(), {kTwoShots}), {kTokens, 0});
  const auto error = [&](const std::function<void(VideoModelInput&)>& change) {
    VideoModelInput input = good;
    change(input);
    return test::error_of([&] { model->forward(input, at::kFloat); });
  };
  EXPECT_EQ(error([](VideoModelInput& input) { input.condition.clear(); }),
            "transformer: conditions of 0 videos, expected 1");
  EXPECT_EQ(error([](VideoModelInput& input) { input.condition[0] = input.condition[0].narrow(0, 0, 7); }),
            "transformer: condition 0 is [7, 4, 4, 6], expected [8, 4, 4, 6]");
  EXPECT_EQ(error([](VideoModelInput& input) { input.image.counts = {5}; }),
            "transformer: image tokens [5, 16] for 1 shots, expected [tokens of 2 shots, 16]");
  Transformer text_alone = test::random_transformer(test::small_config());
  EXPECT_EQ(test::error_of([&] { text_alone->forward(good, at::kFloat); }),
            "transformer: conditions of 1 videos, expected 0: this model takes no images");
}

TEST(ImageToVideo, IsReadFromTheOriginalsConfig) {
  const test::Folder folder;
  const auto read = [&](const std::string& more) {
    write_text(folder / "config.json", R"({"dim": 5120, "num_heads": 40, "in_dim": 36, "out_dim": 16, )" + more + "}");
    return load_transformer_config(folder / "config.json");
  };
  const TransformerConfig i2v = read(R"("model_type": "i2v")"), flf2v = read(R"("model_type": "flf2v")");
  EXPECT_EQ(i2v.image_dim, 1280);
  EXPECT_EQ(i2v.added_kv_proj_dim, 5120);
  EXPECT_EQ(i2v.conditioning().channels, 20);
  EXPECT_EQ(flf2v.pos_embed_seq_len, 514);
  EXPECT_FALSE(read(R"("model_type": "i2v", "image_dim": null)").image_dim);  // Wan2.2
  EXPECT_NE(test::error_of([&] { read(R"("model_type": "vace")"); }).find("model_type = \"vace\" is not supported"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
