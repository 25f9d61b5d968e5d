// A folder's `_class_name` chooses its family; configs without one are recognised by their keys.
#include "moga/model/registry.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/model/vae/vae.h"
#include "moga/model/wan/transformer.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(Registry, ReadsVideoModelsByTheirClassOrTheirKeys) {
  const test::Folder folder;
  const auto layers = [&](const std::string& config) {
    write_text(folder / "config.json", config);
    return load_video_model_config(folder / "config.json")->shape().layers;
  };
  EXPECT_EQ(layers(R"({"_class_name": "WanTransformer3DModel", "num_layers": 3})"), 3);
  EXPECT_EQ(layers(R"({"_class_name": "WanModel", "dim": 32, "num_heads": 2, "num_layers": 4})"), 4);
  EXPECT_EQ(layers(R"({"dim": 32, "num_heads": 2, "num_layers": 5})"), 5);
  EXPECT_EQ(layers(R"({"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 6})"), 6);
}

TEST(Registry, NamesClassesThatItLacks) {
  const test::Folder folder;
  const std::filesystem::path path = folder / "config.json";
  const auto error = [&](const std::string& config, auto load) {
    write_text(path, config);
    const std::string text = test::error_of([&] { load(path); });
    return text.substr(std::min(text.size(), path.string().size()));
  };
  // Classes of further families follow.
  EXPECT_TRUE(
      error(R"({"_class_name": "CogVideoXTransformer3DModel"})", load_video_model_config)
          .starts_with(": _class_name = CogVideoXTransformer3DModel, expected WanTransformer3DModel, WanModel"));
  EXPECT_TRUE(
      error(R"({"layers": 3})", load_video_model_config)
          .starts_with(": no _class_name, and no model has its keys, expected WanTransformer3DModel, WanModel"));
  EXPECT_EQ(error(R"({"_class_name": "AutoencoderKLHunyuanVideo"})", load_codec_config),
            ": _class_name = AutoencoderKLHunyuanVideo, expected AutoencoderKLWan");
  EXPECT_NE(error("{", load_codec_config).find("malformed JSON"), std::string::npos);
}

TEST(Registry, LoadsWhatAModelSaved) {
  const test::Folder folder;
  const Transformer model = test::random_transformer(test::small_config());
  model->save(folder.path(), at::kFloat, WeightLayout::kDiffusers);
  EXPECT_NE(read_text(folder / "config.json").find("\"_class_name\": \"WanTransformer3DModel\""), std::string::npos);
  EXPECT_EQ(video_model_layout(folder.path()), WeightLayout::kDiffusers);
  EXPECT_TRUE(video_model_file_fit(folder.path()).misfits.empty());
  const VideoModelPtr loaded =
      load_video_model(folder.path(), {.device = at::kCPU, .dtype = at::kFloat, .settings = {"moga.combine=lse"}});
  EXPECT_EQ(loaded->config().attention().combine, Combine::kLse);
  const TensorMap tensors = named_tensors(*loaded);
  for (const auto& [name, tensor] : named_tensors(*model)) EXPECT_TRUE(at::equal(tensors.at(name), tensor)) << name;
}

TEST(Registry, BuildsAConfigsModelWithFewerLayers) {
  Cloned<VideoModelConfig> config = test::small_config();
  const Cloned<VideoModelConfig> whole = config;
  config->set_layers(1);
  EXPECT_EQ(config->build(/*initialise=*/true)->config().shape().layers, 1);
  EXPECT_EQ(whole->shape().layers, 2);
}

TEST(Registry, KnowsPublishedSizesAndTheirCodec) {
  EXPECT_EQ(size_names(), "1.3B, 14B, I2V-14B, A14B, I2V-A14B, TI2V-5B, MMDiT-2B");
  EXPECT_FALSE(published_video_model("7B"));
  const Cloned<CodecConfig> codec = published_codec(*published_video_model("14B"));
  EXPECT_EQ(codec->strides(), (Strides{4, 8, 8}));
  const Cloned<CodecConfig> wan22 = published_codec(*published_video_model("TI2V-5B"));
  EXPECT_EQ(wan22->strides(), (Strides{4, 16, 16}));
  EXPECT_EQ(wan22->latent_channels(), 48);
  EXPECT_EQ(codec->latent_channels(), 16);
}

}  // namespace
}  // namespace moga
