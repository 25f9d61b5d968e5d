// Transformers in folders: both layouts of names, both kinds of config.json, routers that a file lacks.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using test::Folder;
using test::random_transformer;
using test::small_config;

constexpr const char* kFile = "diffusion_pytorch_model.safetensors";

void expect_equal(const Transformer& actual, const Transformer& expected) {
  const TensorMap tensors = named_tensors(*actual);
  for (const auto& [name, tensor] : named_tensors(*expected)) EXPECT_TRUE(at::equal(tensors.at(name), tensor)) << name;
}

TEST(TransformerFolder, ReturnsWhatWasSavedInBothLayouts) {
  Transformer model = random_transformer(small_config());
  for (const WeightLayout layout : {WeightLayout::kWan, WeightLayout::kDiffusers}) {
    const Folder folder;
    save_transformer(folder.path(), model, at::kFloat, layout);
    expect_equal(load_transformer(folder.path(), at::kCPU, at::kFloat), model);
    EXPECT_EQ(Safetensors(folder / kFile).contains("blocks.1.attn2.to_out.0.weight"),
              layout == WeightLayout::kDiffusers);
  }
}

// The formats are read from the file while the model is compared by its shapes alone.
TEST(TransformerFolder, OfComfyUisFormatIsComparedAndRead) {
  const Folder folder;
  save_transformer(folder.path(), random_transformer(small_config()), at::kFloat8_e4m3fn, WeightLayout::kWan);
  TensorMap tensors = Safetensors(folder / kFile).load_all();
  const std::string format = R"({"format": "float8_e4m3fn"})";
  const at::Tensor bytes = at::tensor(std::vector<int64_t>(format.begin(), format.end())).to(at::kByte);
  tensors["blocks.0.self_attn.q.comfy_quant"] = bytes;
  save_safetensors(folder / kFile, tensors);
  EXPECT_TRUE(load_transformer(folder.path(), at::kCPU, at::kFloat));
  tensors["blocks.0.self_attn.q.comfy_quant"] = bytes.narrow(0, 0, 9);
  save_safetensors(folder / kFile, tensors);
  EXPECT_NE(test::error_of([&] { load_transformer(folder.path(), at::kCPU, at::kFloat); }).find("comfy_quant"),
            std::string::npos);
}

TEST(TransformerFolder, SensitiveWeightsStayWide) {
  const Folder folder;
  Transformer model = random_transformer(small_config());
  save_transformer(folder.path(), model, at::kBFloat16);
  const Safetensors file(folder / kFile);
  EXPECT_EQ(file.dtype("blocks.0.self_attn.q.weight"), at::kBFloat16);
  EXPECT_EQ(file.dtype("blocks.0.modulation"), at::kFloat);
  const TensorMap loaded = named_tensors(*load_transformer(folder.path(), at::kCPU, at::kBFloat16));
  EXPECT_EQ(loaded.at("blocks.0.ffn.2.weight").scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(loaded.at("blocks.1.norm3.weight"), named_tensors(*model).at("blocks.1.norm3.weight")));
}

TEST(TransformerFolder, SavesNoChoiceOfTheMachine) {
  const Folder folder;
  TransformerConfig config = small_config();
  config.moga.backend = AttentionBackend::kReference;
  save_transformer(folder.path(), random_transformer(config), at::kFloat);
  EXPECT_EQ(load_transformer(folder.path(), at::kCPU, at::kFloat)->config().moga.backend, AttentionBackend::kAuto);
}

TEST(TransformerFolder, MissingRoutersAreInitialisedOthersAreNot) {
  const Folder folder;
  save_transformer(folder.path(), random_transformer(small_config()), at::kFloat);
  TensorMap tensors = Safetensors(folder / kFile).load_all();
  std::erase_if(tensors, [](const auto& item) { return item.first.find("router") != std::string::npos; });
  save_safetensors(folder / kFile, tensors);
  const TensorMap loaded = named_tensors(*load_transformer(folder.path(), at::kCPU, at::kFloat));
  EXPECT_LT(loaded.at("blocks.0.self_attn.router.weight").abs().max().item<float>(), 0.2f);
  EXPECT_GT(loaded.at("blocks.0.self_attn.router.weight").abs().max().item<float>(), 0.0f);
  tensors.erase("blocks.1.ffn.0.bias");
  save_safetensors(folder / kFile, tensors);
  EXPECT_EQ(test::error_of([&] { load_transformer(folder.path(), at::kCPU, at::kFloat); }),
            (folder / kFile).string() + ": tensor blocks.1.ffn.0.bias is missing, expected shape [32]");
}

TEST(TransformerFolder, AFullLayersRouterMayBeInTheFileOrNot) {
  const Folder folder, saved;
  save_transformer(folder.path(), random_transformer(small_config()), at::kFloat);
  const Transformer loaded = load_transformer(folder.path(), at::kCPU, at::kFloat, {"moga.full_layers=[0]"});
  EXPECT_EQ(loaded->config().moga.full_layers, std::vector<int64_t>{0});
  const TensorMap tensors = named_tensors(*loaded), file = Safetensors(folder / kFile).load_all();
  EXPECT_FALSE(tensors.contains("blocks.0.self_attn.router.weight"));
  EXPECT_TRUE(at::equal(tensors.at("blocks.1.self_attn.router.weight"), file.at("blocks.1.self_attn.router.weight")));
  save_transformer(saved.path(), loaded, at::kFloat);
  EXPECT_FALSE(Safetensors(saved / kFile).contains("blocks.0.self_attn.router.weight"));
  expect_equal(load_transformer(saved.path(), at::kCPU, at::kFloat), loaded);
}

TEST(TransformerFolder, SettingsGoOverTheConfig) {
  const Folder folder;
  save_transformer(folder.path(), random_transformer(small_config()), at::kFloat);
  const auto load = [&](const std::string& setting) {
    return load_transformer(folder.path(), at::kCPU, at::kFloat, {setting})->config().moga;
  };
  EXPECT_EQ(load("moga.combine=lse").combine, Combine::kLse);
  EXPECT_FALSE(load("moga.kind=full").uses_router());
  EXPECT_EQ(test::error_of([&] { load("moga.combine=sum"); }),
            "command line: moga.combine 'sum' is not one of mean, lse");
  EXPECT_EQ(test::error_of([&] { load("moga.combined=lse"); }),
            "command line: unknown key 'combined' in [moga]; did you mean 'combine'?");
}

TEST(TransformerFolder, ReadsWansOwnConfig) {
  const Folder folder;
  TransformerConfig config = small_config();
  config.moga.kind = AttentionKind::kFull;
  Transformer model = random_transformer(config);
  save_transformer(folder.path(), model, at::kFloat);
  write_text(folder / "config.json", R"({"_class_name": "WanModel", "dim": 32, "num_heads": 2, "in_dim": 4,
    "out_dim": 4, "ffn_dim": 32, "freq_dim": 16, "text_dim": 16, "num_layers": 2, "text_len": 8, "eps": 1e-06,
    "model_type": "t2v"})");
  const Transformer loaded = load_transformer(folder.path(), at::kCPU, at::kFloat);
  EXPECT_EQ(loaded->config().attention_head_dim, 16);
  expect_equal(loaded, model);
}

// Of a config.json with these members beyond a small model's, without the file's name.
std::string error_of_config(const std::string& members) {
  const Folder folder;
  write_text(folder / "config.json", R"({"num_attention_heads": 2, "attention_head_dim": 12, )" + members + "}");
  const std::string error = test::error_of([&] { load_transformer_config(folder / "config.json"); });
  const size_t name = error.find("config.json: ");
  return name == std::string::npos ? error : error.substr(name + 13);
}

TEST(TransformerFolder, KeysThatAreNotUnderstoodAreErrors) {
  EXPECT_EQ(error_of_config(R"("vace_in_channels": 96)")
                .find("vace_in_channels = 96 is not supported, expected null: this is VACE"),
            0u);
  EXPECT_EQ(error_of_config(R"("model_type": "i2v")").find("model_type = \"i2v\" is not supported"), 0u);
  EXPECT_EQ(error_of_config(R"("num_layerz": 3)"), "unknown key 'num_layerz'; did you mean 'num_layers'?");
  EXPECT_NE(error_of_config(R"("moga": {"group": 3})").find("unknown key 'group' in [moga]; did you mean 'groups'?"),
            std::string::npos);
  EXPECT_NE(error_of_config(R"("ffn_dim": 4611686018427387904)").find("a size is 4611686018427387904"),
            std::string::npos);
  EXPECT_EQ(error_of_config(R"("rope_max_seq_len": 99, "image_dim": null, "_diffusers_version": "0.42.1")"), "");
}

TEST(TransformerFolder, MissingAndNullKeysMeanWhatDiffusersMeans) {
  const Folder folder;
  write_text(folder / "config.json",
             R"({"_class_name": "WanTransformer3DModel", "in_channels": 4, "out_channels": null, "qk_norm": null})");
  const TransformerConfig config = load_transformer_config(folder / "config.json");
  EXPECT_EQ(config.num_attention_heads, 40);
  EXPECT_EQ(config.ffn_dim, 13824);
  EXPECT_EQ(config.out_channels, 4);
  EXPECT_EQ(config.qk_norm, "");
}

// The model of the original Wan2.1 repository under its own names, as tools/make_fixtures_wan.py ran it.
struct WanFixture {
  WanFixture() {
    TensorMap weights;
    for (const auto& [name, tensor] : file.load_all())
      if (name.starts_with("weights.")) weights[name.substr(8)] = tensor;
    save_safetensors(folder / kFile, weights);
    write_text(folder / "config.json", file.metadata().at("config"));
  }

  Safetensors file{MOGA_FIXTURES "/wan.safetensors"};
  Folder folder;
};

TEST(TransformerFolder, AgreesWithTheOriginalWan) {
  const WanFixture fixture;
  Transformer model = load_transformer(fixture.folder.path(), at::kCPU, at::kFloat);
  VideoModelInput input;
  input.timestep = fixture.file.load("timestep");
  input.text = fixture.file.load("text");
  for (const char* video : {"0", "1"}) {
    input.latents.push_back(fixture.file.load(std::string("latent.") + video));  // [C_z, F, Y', X']
    const auto sizes = input.latents.back().sizes();
    input.layout.videos.push_back(
        {.frames = sizes[1], .rows = sizes[2] / 2, .columns = sizes[3] / 2, .shot_frames = {}});
  }
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> velocity = model->forward(input, at::kFloat).velocity;
  EXPECT_TRUE(test::close(velocity.at(0), fixture.file.load("velocity.0"), 1e-5));
  EXPECT_TRUE(test::close(velocity.at(1), fixture.file.load("velocity.1"), 1e-5));
}

TEST(TransformerFolder, WritesExactlyTheOriginalWansTensors) {
  const WanFixture fixture;
  const Folder diffusers, wan;  // in both directions
  save_transformer(diffusers.path(), load_transformer(fixture.folder.path(), at::kCPU, at::kFloat), at::kFloat,
                   WeightLayout::kDiffusers);
  save_transformer(wan.path(), load_transformer(diffusers.path(), at::kCPU, at::kFloat), at::kFloat,
                   WeightLayout::kWan);
  const TensorMap expected = Safetensors(fixture.folder / kFile).load_all(),
                  written = Safetensors(wan / kFile).load_all();
  EXPECT_EQ(written.size(), expected.size());
  for (const auto& [name, tensor] : expected)
    EXPECT_TRUE(written.contains(name) && at::equal(written.at(name), tensor)) << name;
}

}  // namespace
}  // namespace moga
