// LoRA files that are malformed, of another kind or of another model: each is refused in one line before any weight of
// the model is read.
#include "moga/model/adapter/lora_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "moga/core/files.h"
#include "moga/model/adapter/adapters.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const std::string kLayer = "diffusion_model.blocks.0.self_attn.q", kDown = kLayer + ".lora_down.weight",
                  kUp = kLayer + ".lora_up.weight", kAlpha = kLayer + ".alpha";

at::Tensor ones(at::IntArrayRef shape) { return at::ones(shape); }

// A good pair of the small model's first layer, and more.
TensorMap pair_and(const TensorMap& more = {}) {
  TensorMap tensors = {{kDown, ones({4, 32})}, {kUp, ones({32, 4})}};
  for (const auto& [name, tensor] : more) tensors[name] = tensor;
  return tensors;
}

// Without the file's name.
std::string error_of(const TensorMap& tensors, const std::map<std::string, std::string>& metadata = {}) {
  const test::Folder folder;
  const std::string path = (folder / "a.safetensors").string();
  save_safetensors(path, tensors, metadata);
  const TransformerConfig config = test::full_attention(test::small_config());
  const std::string error = test::error_of([&] { Adapters({.loras = {{.file = path}}}, config); });
  EXPECT_EQ(error.find('\n'), std::string::npos);
  return error.starts_with(path) ? error.substr(path.size()) : error;
}

struct Bad {
  TensorMap tensors;
  std::string error;  // a part of it
};

void expect_refused(const std::vector<Bad>& files) {
  for (const Bad& bad : files)
    EXPECT_NE(error_of(bad.tensors).find(bad.error), std::string::npos) << error_of(bad.tensors) << " | " << bad.error;
}

TEST(LoraFile, AGoodPairPasses) {
  EXPECT_EQ(error_of(pair_and()), "");
  EXPECT_EQ(error_of(pair_and({{kAlpha, at::full({1}, 2.0, at::kBFloat16)}})), "");
}

TEST(LoraFile, ForeignKindsAreNamed) {
  const std::string q = "blocks.0.self_attn.q";
  expect_refused({
      {pair_and({{kLayer + ".dora_scale", ones({32})}}), "DoRA is not supported"},
      {pair_and({{q + ".lora_magnitude_vector", ones({32})}}), "DoRA"},
      {{{"lora_unet_blocks_0_ffn_0.hada_w1_a", ones({4, 4})}}, "LoHa"},
      {{{"lora_unet_blocks_0_ffn_0.lokr_w1", ones({4, 4})}}, "LoKr"},
      {{{q + ".oft_blocks", ones({4, 4})}}, "OFT"},
      {pair_and({{kLayer + ".lora_mid.weight", ones({4, 4})}}), "a middle matrix"},
      {{{"lora_te1_text_model_layers_0.lora_down.weight", ones({4, 4})}}, "a LoRA of a text encoder"},
      {{{kLayer + ".set_weight", ones({4, 4})}}, "a patch that replaces weights"},
  });
}

TEST(LoraFile, WhatIsNotUnderstoodIsListed) {
  expect_refused({
      {{{"blocks.0.self_attn.q.weight", ones({32, 32})}, {"head.head.bias", ones({16})}},
       ": none of its 2 tensors is a low-rank update (lora_A, lora_down, diff), first blocks.0.self_attn.q.weight"},
      {pair_and({{kLayer + ".lora_C.weight", ones({4, 4})}, {"x", ones({1})}}),
       ": not understood, 2 of 4 keys: diffusion_model.blocks.0.self_attn.q.lora_C.weight, x"},
      {pair_and({{"x\n\x1b[2J", ones({1})}}), "a tensor's name has control characters"},
      {{{"transformer_2.blocks.0.attn1.to_q.lora_A.weight", ones({4, 32})}}, "a second expert (transformer_2)"},
      {pair_and({{"transformer_2.blocks.0.attn1.to_q.lora_A.weight", ones({4, 32})}}), "the model has one transformer"},
      {pair_and({{"diffusion_model.blocks.0.self_attn.router.weight", ones({3, 32})}}), "expected --adapter"},
      {{}, ": none of its 0 tensors"},
  });
}

TEST(LoraFile, LayersThatTheModelLacksAreListed) {
  const auto of = [](const std::string& layer) {
    return pair_and({{layer + ".lora_A.weight", ones({4, 32})}, {layer + ".lora_B.weight", ones({32, 4})}});
  };
  expect_refused({
      {of("blocks.7.self_attn.q"), ": 1 of 2 updated layers are not in the model: blocks.7.self_attn.q"},
      {of("diffusion_model.blocks.0.cross_attn.k_img"), "not in the model: blocks.0.cross_attn.k_img"},
      {of("transformer.single_transformer_blocks.0.attn.to_q"), "single_transformer_blocks"},
      {of("lora_unet_down_blocks_0_attentions_0"), "down_blocks_0_attentions_0"},
      {of("transformer.blocks.0.attn1.to_q"), "blocks.0.attn1.to_q and blocks.0.self_attn.q are the same layer"},
      {of("blocks.0.norm3"), "blocks.0.norm3 of the model is no product"},
  });
}

TEST(LoraFile, ShapesAndNumbersAreChecked) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_refused({
      {{{kDown, ones({4, 32})}}, "lora_down.weight has no partner"},
      {{{kUp, ones({32, 4})}}, "lora_up.weight has no partner"},
      {{{kDown, ones({4, 64})}, {kUp, ones({32, 4})}}, "for a weight of [32, 32] in the model"},
      {{{kDown, ones({4, 32})}, {kUp, ones({64, 4})}}, "for a weight of [32, 32] in the model"},
      {{{kDown, ones({4, 32})}, {kUp, ones({32, 5})}}, "expected [rank, in] and [out, rank]"},
      {{{kDown, ones({0, 32})}, {kUp, ones({32, 0})}}, "expected [rank, in] and [out, rank]"},
      {{{kDown, ones({})}, {kUp, ones({})}}, "expected [rank, in] and [out, rank]"},
      {{{kDown, at::ones({4, 32}, at::kInt)}, {kUp, ones({32, 4})}}, "holds Int, expected float32"},
      {pair_and({{kUp, at::full({32, 4}, nan)}}), "holds NaN or infinity"},
      {pair_and({{kAlpha, ones({2})}}), ".alpha has shape [2], expected one number"},
      {pair_and({{kAlpha, at::full({}, nan)}}), "expected a finite number"},
      {pair_and({{"diffusion_model.head.head.alpha", ones({})}}), "alpha without factors of head.head"},
      {pair_and({{"diffusion_model.head.head.diff", ones({16, 31})}}), "has shape [16, 31]"},
      {pair_and({{"diffusion_model.head.modulation.diff_b", ones({64})}}), "has no bias"},
      {pair_and({{kLayer + ".diff_b", ones({31})}}), "has shape [31]"},
  });
}

TEST(LoraFile, MetadataIsChecked) {
  EXPECT_NE(error_of(pair_and(), {{"lora_adapter_metadata", "{"}}).find("metadata lora_adapter_metadata"),
            std::string::npos);
  EXPECT_NE(error_of(pair_and(), {{"lora_adapter_metadata", R"({"lora_alpha": "8"})"}}).find("expected a number"),
            std::string::npos);
  EXPECT_NE(error_of(pair_and(), {{"lora_adapter_metadata", R"({"use_dora": true})"}}).find("DoRA"), std::string::npos);
}

TEST(LoraFile, ScalesAreAlphaOverRank) {
  const test::Folder folder;
  const auto scale = [&](const TensorMap& tensors, const std::string& metadata) {
    save_safetensors(folder / "a.safetensors", tensors, {{"lora_adapter_metadata", metadata}});
    return LoraFile(folder / "a.safetensors").updates().at("blocks.0.self_attn.q").scale;
  };
  EXPECT_EQ(scale(pair_and(), "{}"), 1);
  EXPECT_EQ(scale(pair_and(), R"({"transformer.lora_alpha": 8, "transformer.r": 4})"), 2);
  EXPECT_EQ(scale(pair_and(), R"({"lora_alpha": 8, "use_rslora": true})"), 4);
  EXPECT_EQ(scale(pair_and(), R"({"lora_alpha": 8, "alpha_pattern": {"self_attn.q": 2}})"), 0.5);
  EXPECT_EQ(scale(pair_and({{kAlpha, at::full({}, 1.0)}}), R"({"lora_alpha": 8})"), 0.25);
}

}  // namespace
}  // namespace moga
